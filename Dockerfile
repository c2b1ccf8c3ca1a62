# The image of a gateway: docker build -t holdfast .
# HOLDFAST is what pip installs: this folder, a wheel in it, or a release (holdfast==0.1.0).
ARG PYTHON=3.13

FROM python:${PYTHON} AS build
ARG HOLDFAST=.
WORKDIR /source
COPY . .
RUN python -m venv --without-pip /opt/holdfast \
    && python -m pip --python /opt/holdfast/bin/python install --no-cache-dir \
        --constraint constraints.txt "${HOLDFAST}" \
    && find /opt/holdfast -name '*.so' -exec strip --strip-unneeded {} + \
    && find /opt/holdfast -name '*.py[xi]' -delete -o -name '*.px[id]' -delete \
        -o -name '*.[ch]' -delete -o -path '*.dist-info/RECORD' -delete \
        -o -path '*/regex/tests/*' -delete -o -path '*/wcwidth/*.so' -delete \
        -o -path '*/aiohttp/_websocket/*.so' -delete \
        -o -path '*/pygments/lexers/[a-z]*' -delete -o -path '*/pygments/lexers/*_builtins.py' -delete \
        -o -path '*/pygments/styles/[a-z]*' -delete \
        -o -path '*/pygments/formatters/[a-z]*' -delete -o -path '*/pygments/*.pyc' -delete \
        -o -path '*/rich/*.pyc' -delete -o -path '*/markdown_it/*.pyc' -delete \
        -o -path '*/wcwidth/*.pyc' -delete -o -path '*/prompt_toolkit/*.pyc' -delete \
        -o -path '*/regex/*.pyc' -delete -o -path '*/idna/*.pyc' -delete \
        -o -path '*/attr/*.pyc' -delete -o -name '_multidict_py*.pyc' -delete \
        -o -path '*/holdfast/vtc/*.pyc' -delete -o -path '*/holdfast/demo/*.pyc' -delete \
        -o -path '*/holdfast/cli/terminal/*.pyc' -delete

FROM python:${PYTHON}-slim
COPY --from=build /opt/holdfast /opt/holdfast
RUN groupadd --gid 10001 holdfast \
    && useradd --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin holdfast \
    && install -d -m 0700 -o holdfast -g holdfast /var/lib/holdfast /run/holdfast
ENV PATH=/opt/holdfast/bin:${PATH} \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /var/lib/holdfast
EXPOSE 4000 8080 9180
# SIGTERM tells every client, and keeps every session. The process is PID 1, and needs no shell.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s CMD ["holdfast", "health"]
ENTRYPOINT ["holdfast"]
CMD ["serve", "/etc/holdfast/gateway.toml"]
