# PostgreSQL with concresce, of Debian's packages:
#
#   docker build -t concresce .
#   docker run -e POSTGRES_PASSWORD=secret -p 5432:5432 -v pgdata:/var/lib/postgresql/data concresce
ARG DEBIAN=trixie

FROM debian:$DEBIAN-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends make
COPY . /concresce
RUN make -C /concresce deb

FROM debian:$DEBIAN-slim
RUN --mount=from=build,source=/concresce/dist,target=/dist \
	mkdir -p /etc/postgresql-common && \
	echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf && \
	apt-get update && \
	apt-get install -y --no-install-recommends $(ls /dist/*.deb | grep -v dbgsym) && \
	rm -rf /var/lib/apt/lists/* && \
	ln -s /usr/lib/postgresql/*/bin /usr/local/pgsql
COPY scripts/docker-start /usr/local/bin/docker-start
ENV PATH=/usr/local/pgsql:$PATH LANG=C.UTF-8 PGDATA=/var/lib/postgresql/data
RUN install -d -o postgres -g postgres "$PGDATA" /run/postgresql
USER postgres
VOLUME $PGDATA
EXPOSE 5432
STOPSIGNAL SIGINT
CMD ["docker-start"]
