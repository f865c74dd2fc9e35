// Which room this page is in: the address after # names it, and the browser remembers the last one.

import { randomId } from "./dom.js";

const ROOM = /^[A-Za-z0-9_-]{8,64}$/;
const KEY = "janus-room";

/** The room to be in now. */
export function currentRoom() {
  const named = location.hash.slice(1);
  const room = ROOM.test(named) ? named : (stored() ?? randomId());
  history.replaceState(null, "", `/#${room}`);
  store(room);
  return room;
}

// A browser may forbid storage; then a reload begins a new room unless the address names one.
function stored() {
  try {
    const value = localStorage.getItem(KEY);
    return value && ROOM.test(value) ? value : null;
  } catch {
    return null;
  }
}

function store(room) {
  try {
    localStorage.setItem(KEY, room);
  } catch {
    // The address still names the room.
  }
}
