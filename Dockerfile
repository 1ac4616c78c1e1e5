# firn's environment as an image, for those who prefer one: the same two lists as tools/env reads.
#   docker build -t firn .  &&  docker run --rm -p 8888:8888 firn
FROM debian:forky
COPY tools/packages.txt /tmp/
# The package lists stay: they are the quickstart's data.
RUN apt-get update \
    && sed 's/#.*//; /^[[:space:]]*$/d' /tmp/packages.txt | xargs apt-get install -y --no-install-recommends
WORKDIR /firn
COPY tools tools
COPY pyproject.toml .
RUN tools/env
COPY . .
RUN tools/run true
EXPOSE 8888
CMD ["make", "lab", "ARGS=--ip=0.0.0.0"]
