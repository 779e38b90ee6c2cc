#!/bin/busybox sh
# The first process of the virtual machine: runs what it is given, line by line, and says whether all of it went well.
/bin/busybox mkdir -p /applets
/bin/busybox --install -s /applets
export PATH=/usr/sbin:/usr/bin:/sbin:/bin:/applets
export NSID_BIN=/nsid COREDNS_BIN=/coredns NSID_EVERY_KIND=1 NSID_PATIENCE=6 RUST_TEST_THREADS=1
mkdir -p /proc /sys /dev /run /tmp
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mount -t bpf bpf /sys/fs/bpf
mount -t tmpfs run /run
ip link set lo up

# Named in the order in which they need each other.
for module in /modules/*; do
    [ -e "$module" ] && insmod "$module"
done

passed=passed
while read -r line; do
    sh -c "$line" </dev/null || passed=failed
done </commands
echo "all-tests: $passed"
poweroff -f
