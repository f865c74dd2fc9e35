# Two stages: the first builds, and the second has neither compiler nor sources.
FROM python:3.13-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
# "space" adds what `janus-bot space --stand-in` and `janus-bot demo` need.
ARG EXTRA=""
WORKDIR /src
RUN python -m venv /opt/janus-bot
# The dependencies come before the sources, so that a change of the sources reuses their layer.
COPY pyproject.toml constraints.txt ./
RUN EXTRA="${EXTRA:-}" python -c "import os, tomllib; \
    project = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
    extra = project['optional-dependencies'].get(os.environ['EXTRA'], []); \
    print(*project['dependencies'], *extra, sep='\n')" > requirements.txt \
    && /opt/janus-bot/bin/pip install --quiet --constraint constraints.txt --requirement requirements.txt
COPY README.md LICENSE ./
COPY bot bot
COPY migrations migrations
RUN python -m pip wheel --quiet --no-deps --wheel-dir /wheels . \
    && /opt/janus-bot/bin/pip install --quiet --no-deps /wheels/*.whl

FROM python:3.13-slim
RUN useradd --system --uid 10001 --home-dir /data --create-home janus
COPY --from=build /opt/janus-bot /opt/janus-bot
ENV PATH="/opt/janus-bot/bin:$PATH" PYTHONUNBUFFERED=1 JANUS_BOT_BOT__DATA_DIR=/data
USER janus
# Also where config.toml is looked for.
WORKDIR /data
VOLUME /data
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen('http://127.0.0.1:' + os.environ.get('JANUS_BOT_HTTP__PORT', '8080') + '/healthz', timeout=4)"]
ENTRYPOINT ["janus-bot"]
CMD ["run"]
