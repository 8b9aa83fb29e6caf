#!/bin/sh
# Makes root file systems of PostgreSQL and Redis out of the programs of this machine: what they need, and nothing else.
#   databases.sh FOLDER
set -eu
here=$1
# The libraries of every program and library in a folder.
libraries() {
    find "$1" -type f \( -perm -100 -o -name '*.so*' \) | while read -r file; do ldd "$file" 2>/dev/null || :; done |
        grep -oE '/[^ ]+\.so[^ ]*' | sort -u | while read -r library; do
            mkdir -p "$1$(dirname "$library")"
            [ -e "$1$library" ] || cp -L "$library" "$1$library"
        done
}
base() {
    mkdir -p "$1/bin" "$1/etc" "$1/run" "$1/var" "$1/tmp" "$1/data"
    chmod 1777 "$1/tmp" "$1/run"
    ln -sfn ../run "$1/var/run"
    cp "$(command -v busybox)" "$1/bin/busybox"
    for name in sh cat chown chmod mkdir sleep echo setpriv su id rm; do ln -sf busybox "$1/bin/$name"; done
    printf 'root:x:0:0::/:/bin/sh\npostgres:x:70:70::/data:/bin/sh\n' >"$1/etc/passwd"
    printf 'root:x:0:\npostgres:x:70:\n' >"$1/etc/group"
    printf 'hosts: files dns\n' >"$1/etc/nsswitch.conf"
}

redis=$here/redis
base "$redis"
cp -L "$(command -v redis-server)" "$(command -v redis-cli)" "$redis/bin/"
libraries "$redis"
tar -C "$redis" -cf "$here/redis.tar" .

pg=$here/postgres
base "$pg"
bin=$(dirname "$(ls /usr/lib/postgresql/*/bin/postgres | tail -n 1)")
version=$(basename "$(dirname "$bin")")
mkdir -p "$pg$bin" "$pg/usr/lib/postgresql/$version/lib" "$pg/usr/share/postgresql" "$pg/usr/share/zoneinfo/Etc"
for name in postgres initdb psql pg_isready; do
    cp -L "$bin/$name" "$pg$bin/"
    ln -sf "$bin/$name" "$pg/bin/$name"
done
# What compiles queries needs a compiler, which is larger than all the rest.
for library in plpgsql dict_snowball; do cp -L "$(dirname "$bin")/lib/$library.so" "$pg/usr/lib/postgresql/$version/lib/"; done
cp -R "/usr/share/postgresql/$version" "$pg/usr/share/postgresql/"
rm -rf "$pg/usr/share/postgresql/$version/man"
cp -L /usr/share/zoneinfo/Etc/UTC "$pg/usr/share/zoneinfo/UTC"
cp -L /usr/share/zoneinfo/Etc/UTC "$pg/usr/share/zoneinfo/Etc/UTC"
cat >"$pg/bin/start" <<'END'
#!/bin/sh
set -e
mkdir -p /data/db /run/postgresql
chown -R postgres:postgres /data /run/postgresql
chmod 700 /data/db
if [ ! -e /data/db/PG_VERSION ]; then
    su postgres -c "LC_ALL=C initdb -D /data/db -A trust -E UTF8 --locale=C --no-sync" >/dev/null
    echo "host all all all trust" >>/data/db/pg_hba.conf
fi
exec su postgres -c "exec postgres -D /data/db -c listen_addresses='*' -c shared_buffers=16MB -c timezone=UTC -c log_timezone=UTC -c fsync=off"
END
chmod +x "$pg/bin/start"
libraries "$pg"
tar -C "$pg" -cf "$here/postgres.tar" .
rm -rf "$redis" "$pg"
