from __future__ import annotations
import time
from PIL import Image
STEP_DELAY=0.12
class SketchEngine:
    def __init__(self,*,step_delay=STEP_DELAY): self.d=step_delay
    def describe(self,image,question,**k):
        for w in ("a ","b ",f"{image and image.size}"):
            time.sleep(self.d); yield w
    def draw(self,prompt,*,seed,guidance,temperature,report):
        for i in range(20):
            report(i,20,"Sketching"); time.sleep(self.d)
        return [Image.new("RGB",(768,768),(i*40,seed%255,0)) for i in range(5)]
