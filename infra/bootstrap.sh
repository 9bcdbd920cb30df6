#!/bin/sh
# Installs what the local stack misses, and nothing else: Debian packages, a Python environment in .venv, Kafka's and
# Debezium's jars in .onhand/jars. What is there already is neither fetched nor touched.
#
#   sh infra/bootstrap.sh demo|test      test = also what only the tests start: MariaDB, Alertmanager, exporters
set -eu

cd "$(dirname "$0")/.."
group=${1:-demo}
os_release=${ONHAND_OS_RELEASE:-/etc/os-release}
log=.onhand/bootstrap.log
spent=0
PATH=$PATH:/usr/sbin:/sbin # Debian's servers lie there, a user's PATH may not

case $group in
demo | test) ;;
*)
    echo "usage: sh infra/bootstrap.sh demo|test" >&2
    exit 2
    ;;
esac
mkdir -p .onhand

say() { echo "set-up: $*" >&2; }

# step TITLE FUNCTION: runs it in a shell of its own (so that `set -e` holds inside) into the log, says how long it took,
# shows the log's end when it failed
step() {
    began=$(date +%s)
    set +e
    (set -e && "$2") >"$log" 2>&1
    failed=$?
    set -e
    if [ $failed -ne 0 ]; then
        say "$1 failed; $log ends with:"
        tail -n 15 "$log" >&2
        exit 1
    fi
    seconds=$(($(date +%s) - began))
    spent=$((spent + seconds))
    say "$1: $seconds s"
}

# ---- what is missing ------------------------------------------------------------------------------------------------

has() { command -v "$1" >/dev/null 2>&1; }

has_postgres() { has initdb || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; }

has_java() {
    for java in /usr/lib/jvm/*17*/bin/java "${JAVA_HOME:-/nowhere}/bin/java" java; do
        version=$("$java" -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p') || continue
        [ "${version:-0}" -ge 17 ] && return 0
    done
    return 1
}

has_javac() { # examples/read/Read.java is run from its source, which takes the compiler
    for javac in /usr/lib/jvm/*17*/bin/javac "${JAVA_HOME:-/nowhere}/bin/javac"; do [ -x "$javac" ] && return 0; done
    has javac
}

# Prints an interpreter that can make a virtual environment.
python() {
    for candidate in python3 /usr/bin/python3; do
        "$candidate" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue
        echo "$candidate" && return 0
    done
    return 1
}

stamp_of() { cat "$@" | cksum | tr ' ' '-'; }
jars_stamp=.onhand/jars/.complete-$(stamp_of infra/pom.xml)
agent_stamp=.onhand/jars/.agent-$(stamp_of infra/pom.xml)
venv_stamp=.venv/.complete-$(stamp_of requirements.lock pyproject.toml)

missing_packages() {
    has_postgres || echo postgresql-15
    has redis-server || echo redis-server
    has prometheus && has promtool || echo prometheus
    has_java || echo openjdk-17-jre-headless
    [ -e "$jars_stamp" ] || has mvn || echo maven
    [ -e "$venv_stamp" ] || python >/dev/null || echo python3 python3-venv
    [ "$group" = test ] || return 0
    has_javac || echo openjdk-17-jdk-headless
    [ -e "$jars_stamp" ] && ! has mvn && echo maven # with no jars yet, the line above has named it
    has node || echo nodejs
    has npm || echo npm
    has mariadbd || echo mariadb-server
    has prometheus-alertmanager && has amtool || echo prometheus-alertmanager
    has prometheus-redis-exporter || echo prometheus-redis-exporter
}

# ---- Debian packages ------------------------------------------------------------------------------------------------

refuse() {
    say "missing: $packages"
    say "$1"
    exit 1
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

# Debian starts and enables every server it installs, on its default port. For the duration a policy forbids the start,
# no PostgreSQL cluster is made, and what we have just installed is disabled afterwards.
policy=/usr/sbin/policy-rc.d
clusters=/etc/postgresql-common/createcluster.conf

restore() {
    as_root rm -f "$policy"
    [ ! -e "$policy.before-onhand" ] || as_root mv "$policy.before-onhand" "$policy"
    [ ! -e "$clusters.before-onhand" ] || as_root mv "$clusters.before-onhand" "$clusters"
}

apt_get() { as_root env DEBIAN_FRONTEND=noninteractive apt-get -y -o DPkg::Lock::Timeout=300 --no-install-recommends "$@"; }

install_packages() {
    trap restore EXIT
    trap 'exit 130' INT TERM
    [ ! -e "$policy" ] || as_root mv "$policy" "$policy.before-onhand"
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy"
    as_root chmod 755 "$policy"
    apt_get update
    case $packages in
    *postgresql*)
        apt_get install postgresql-common
        as_root cp -p "$clusters" "$clusters.before-onhand"
        echo 'create_main_cluster = false' | as_root tee -a "$clusters"
        ;;
    esac
    # shellcheck disable=SC2086 # one word per package
    apt_get install $packages
    has systemctl || return 0 # without systemd nothing starts by itself
    for package in $packages; do
        case $package in
        redis-server | prometheus | prometheus-alertmanager | prometheus-redis-exporter) as_root systemctl disable "$package.service" ;;
        mariadb-server) as_root systemctl disable mariadb.service mariadb.socket ;;
        postgresql-15) as_root systemctl disable postgresql.service ;;
        esac
    done
}

# shellcheck disable=SC2046,SC2116 # one line, one space between the words
packages=$(echo $(missing_packages))
if [ -n "$packages" ]; then
    # shellcheck disable=SC1090 # a file of assignments, by its standard
    id=$(. "$os_release" 2>/dev/null && echo "${ID:-unknown}") || id=unknown
    [ "$id" = debian ] || refuse "this is not Debian ($id): install the programs of these Debian packages, or use a container:
  docker run -it -v \"\$PWD:/onhand\" -w /onhand debian:12 sh -c 'apt-get update && apt-get install -y make && make $group'"
    [ "$(id -u)" -eq 0 ] || has sudo || refuse "not root and no sudo; type: su -c 'apt-get install --no-install-recommends $packages'"
    step "packages $packages" install_packages
fi

# ---- Python environment and jars ------------------------------------------------------------------------------------

make_environment() {
    [ -x .venv/bin/python ] || "$(python)" -m venv .venv
    pip=".venv/bin/python -m pip --disable-pip-version-check --no-input"
    $pip install --no-deps -r requirements.lock
    $pip install --no-deps -e .
    rm -f .venv/.complete-*
    : >"$venv_stamp"
}

fetch_jars() {
    rm -rf .onhand/jars
    mvn -q -B -f infra/pom.xml package
    : >"$jars_stamp"
}

fetch_agent() {
    mvn -q -B -f infra/pom.xml dependency:copy@agent
    : >"$agent_stamp"
}

[ -e "$venv_stamp" ] || step "Python environment in .venv" make_environment
[ -e "$jars_stamp" ] || step "jars in .onhand/jars" fetch_jars
[ "$group" = demo ] || [ -e "$agent_stamp" ] || step "JMX exporter in .onhand/jars" fetch_agent
say "downloads and installs: $spent s"
