//! How common a text is on a Linux host, estimated from a sample.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::detect::sigma::scanner::is_word;

/// Text that is common on a Linux host: parts of paths, options, words of builds and scripts, and the commonest components of
/// the paths of Debian's packages. What occurs here is a bad witness.
const COMMON: &str = "/usr/bin/ /usr/sbin/ /usr/lib/x86_64-linux-gnu/ /usr/share/ /usr/local/bin/ /usr/include/ /bin/sh -c \
    /bin/bash /etc/ /var/lib/ /var/log/ /var/run/ /run/ /tmp/ /home/user/ /root/ /opt/ /proc/self/ /sys/ /dev/null \
    python3 perl node java gcc cc1 make cmake cargo rustc git ssh sudo cat grep sed awk ls cp mv rm ln chmod mkdir \
    --color=auto --version --help --output --config= --file --name --type --no- --list -o -i -I/ -L/ -W -Wall -D -f -O2 -g -c -m -n -p -r -s -t -x \
    .c .h .o .so .py .sh .conf .json .txt .log .d .service system systemd default config include source build test main \
    http https:// www. .com localhost 127.0.0.1 http:// index data file user name local lib the and for in do done then echo if \
    database postgres mysql redis nginx docker container storage cache backup cluster client server worker process manager \
    api token base version update upgrade install remove start stop restart enable disable status get set run exec check \
    gcc -std=c11 -Wextra -fPIC -I./include -DNDEBUG -MMD -MF obj/foo.d -o obj/foo.o -c src/foo.c cc1 -quiet -imultiarch as --64 collect2 ld -dynamic-linker \
    java -Xmx2g -XX:+UseG1GC -Djava.io.tmpdir=/tmp -jar /opt/app/app.jar --spring.config.location=/etc/app/application.yml -classpath /usr/share/java/a.jar \
    /usr/bin/python3 -m pip install --upgrade -r requirements.txt /usr/lib/python3/dist-packages manage.py runserver 0.0.0.0:8000 celery -A app \
    node /srv/app/node_modules/.bin/webpack --mode production npm run build --prefix yarn php-fpm: pool www /usr/bin/php artisan schedule:run \
    /bin/sh -c test -x /usr/sbin/anacron || ( cd / && run-parts --report /etc/cron.daily ) /usr/lib/apt/apt.systemd.daily \
    dpkg --status-fd 20 --no-triggers --unpack --auto-deconfigure /var/cache/apt/archives/foo_amd64.deb apt-get -y dist-upgrade update-rc.d \
    systemctl --no-pager is-active restart foo.service journalctl -u foo --since /lib/systemd/systemd-udevd --daemon dbus-daemon --address= \
    docker run --rm --network host -v /data:/data -e NAME=value image:latest containerd-shim-runc-v2 -namespace moby -id -address /run/containerd/containerd.sock \
    runc --root --log-format json kubectl get pods -n kube-system -o yaml kubelet --kubeconfig=/etc/kubernetes/kubelet.conf --pod-infra-container-image \
    postgres: writer process SELECT mysqld --basedir=/usr --datadir=/var/lib/mysql --user=mysql --log-error=/var/log/mysql/error.log redis-server nginx: worker process \
    git -c core.quotePath=false fetch --prune origin refs/heads/main commit -m message rev-parse --abbrev-ref HEAD ls-files -z \
    rsync -az --delete /home/user/ backup@host.example.com:/backup/ ssh -o BatchMode=yes -p 22 deploy@10.0.0.1 uptime scp sshd: user@pts/0 \
    curl -fsSL -H Content-Type: application/json -X POST https://api.example.com/v1/items -d {} wget -q -O - http://www.example.org/index.html \
    find . -type f -name *.log -mtime +7 -exec gzip {} ; grep -rn --include=*.py pattern . sed -i s/a/b/g file.txt awk {print $1} sort uniq -c head -n 10 tail -f \
    tar -czf /backup/data-2024-01-01.tar.gz -C /var/lib data cp -a src dst mkdir -p build && cd build && cmake .. -DCMAKE_BUILD_TYPE=Release make -j4 all install \
    chown -R www-data:www-data /var/www/html chmod 644 /etc/foo.conf ls -la --color=auto /home id -u whoami date +%Y-%m-%d hostname uname -r ps aux df -h free -m \
    logrotate /etc/logrotate.conf certbot renew --quiet openssl x509 -in cert.pem -noout mount -t ext4 /dev/sda1 /mnt ip addr show dev eth0 \
    usr lib share linux doc messages icons symbolic modules png openssl yaml gnu init list packages data \
    describe clients terminfo perl network generated api container apis create delete npm policy update tests \
    java json zoneinfo status bin services config service operations client tools site security test debian \
    instances actions git txt policies changelog base schemas pip conf vendor set groups build common manager \
    util home systemd legacy xml html org storage resources debug etc get models auth providers binding run jobs \
    setuptools internal info backup resource add copyright dev access syntax kubernetes scalable python right \
    remove source endpoint types examples managed rules devices app lintian extensions dns templates logging \
    database configs identity settings index export target user pubspec keys requests readme overrides inputs \
    package import connect apt locations crypto contrib firewall restore builds directory file connectivity \
    media unicode library pam domains nodejs support versions connections text tasks custom functions license \
    commands context private certificates metadata format images environments networks management profiles \
    search cache audio view shared properties backend deployment preferences type install error desktop \
    databases unit server monitoring distutils scripts generic active symbols attachments redis certificate \
    engine cancel volume snapshots map auto model gateways extension integration admin wait routers time \
    completion developer code level deployments group gateway volumes mail routes parser logs record proxies \
    version application folder shell signal categories hash dbus libexec projects connection docker tables start \
    document indexes default exceptions url template networking enable workflows edit credentials spec disable \
    stream remote sessions cpython metal repository packaging checks object triggers plugin namespaces accounts \
    windows transfer web views transports disabled address stop help meta image charset root kernel release opt \
    home/user var/cache var/lib modules-load.d network-scripts site-packages node_modules target/release \
    build/lib.linux dist-packages \
    ing tion er es re en on at st te ti or an nd al de co in";

/// Bytes that texts of more are rated by.
const GRAM: usize = 3;

/// How often the sample has each run of two and three bytes, and each word, in lower case.
struct Counts {
    runs: HashMap<Box<[u8]>, u32>,
    words: HashMap<Box<[u8]>, u32>,
}

static COUNTS: LazyLock<Counts> = LazyLock::new(|| {
    let text = COMMON.to_ascii_lowercase().into_bytes();
    let mut counts = Counts { runs: HashMap::new(), words: HashMap::new() };
    for run in text.windows(2).chain(text.windows(GRAM)) {
        *counts.runs.entry(run.into()).or_default() += 1;
    }
    for word in text.split(|byte| !is_word(*byte)).filter(|word| !word.is_empty()) {
        *counts.words.entry(word.into()).or_default() += 1;
    }
    counts
});

/// How often a literal is seen in vain, estimated per event.
pub fn cost_of_literal(literal: &[u8]) -> f64 {
    0.003 + 0.02 * f64::from(rarest(literal, GRAM).1)
}

/// How often a word is seen in vain, estimated per event.
pub fn cost_of_word(word: &[u8]) -> f64 {
    0.01 + 0.02 * f64::from(COUNTS.words.get(word).copied().unwrap_or_default())
}

/// Where in a literal the run of so many bytes is that is seen least, and how often that is in the sample; of a shorter
/// literal its beginning. Letters and blanks count as commoner than other characters where the sample has neither.
pub fn rarest(literal: &[u8], span: usize) -> (usize, u32) {
    let plain = |run: &[u8]| run.iter().filter(|b| b.is_ascii_alphabetic() || **b == b' ').count();
    let count = |run: &[u8]| {
        let grams = run.windows(GRAM.min(run.len()).max(1));
        grams.map(|gram| COUNTS.runs.get(gram).copied().unwrap_or_default()).sum::<u32>()
    };
    let places = literal.windows(span.min(literal.len()).max(1)).enumerate();
    let rated = places.map(|(at, run)| (at, count(run), plain(run)));
    rated.min_by_key(|(_, count, plain)| (*count, *plain)).map_or((0, 0), |(at, count, _)| (at, count))
}
