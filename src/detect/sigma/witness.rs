//! Witnesses: what every match of a rule must contain.
//!
//! A rule is reduced to clauses, a clause to groups of witnesses: an event can only match the rule if of one clause every
//! group has a witness in the event. Others need not be evaluated. Of tests that must all pass the cheapest makes a group
//! and, as long as that group would often be seen in vain, others make further ones; of alternatives each must give a
//! clause; a negation, a number or an absent field gives none, and a rule without any is evaluated for every event of its
//! category. What is cheap is estimated from how often a witness would be seen in vain: the estimate decides about speed
//! and never about a verdict.

mod regex;

use super::fields::Field;
use super::pattern::Matcher;
use super::test::{Check, Expr, Fold, Test};

/// Something in a field's value, with ASCII letters folded.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Witness {
    /// The field; none if it may be in any.
    pub field: Option<Field>,
    /// How it is there.
    pub kind: Kind,
    /// The bytes.
    pub bytes: Box<[u8]>,
}

/// How a witness is in a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// As the last component of a path.
    BaseName,
    /// As the whole value.
    Whole,
    /// As its first byte.
    First,
    /// As its last byte.
    Last,
    /// Anywhere; at least [`LITERAL_MIN`] bytes.
    Within,
}

/// Witnesses, one of which must be there.
pub type Group = Vec<Witness>;

/// Groups that must all have a witness.
pub type Clause = Vec<Group>;

/// A single byte is in so many values that looking for it pays nothing.
pub const LITERAL_MIN: usize = 2;

/// Bytes that texts of more are represented by.
pub const TRIPLE: usize = 3;

/// Groups of a clause.
pub const GROUPS_MAX: usize = 3;

/// Clauses of a rule above which each is rather reduced to a group.
const CLAUSES_MAX: usize = 32;

/// Alternatives in one rule above which the rule is rather evaluated always.
const ALTERNATIVES_MAX: usize = 4096;

/// How often a clause may be seen in vain, for each event, without a further group.
const COST_GOOD: f64 = 0.01;

/// Text that is common on a Linux host: parts of paths, options, words of builds and scripts. What occurs here is a bad
/// witness.
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
    ing tion er es re en on at st te ti or an nd al de co in";

/// The clauses of an expression, or none.
pub fn of(expr: &Expr) -> Option<Vec<Clause>> {
    let mut clauses = costed(expr)?.clauses;
    clauses.iter_mut().flatten().for_each(|group| group.sort());
    let count: usize = clauses.iter().flatten().map(Vec::len).sum();
    (count <= ALTERNATIVES_MAX).then_some(clauses)
}

/// Clauses, and how often they would be seen in vain, estimated per event.
#[derive(Debug, Clone, Default)]
struct Costed {
    cost: f64,
    clauses: Vec<Clause>,
}

impl Costed {
    fn group(group: Group) -> Costed {
        Costed { cost: group.iter().map(cost).sum(), clauses: vec![vec![group]] }
    }

    /// One of these texts, in lower case, is in the field; none if one of them is too short to look for.
    fn within(field: Option<Field>, texts: Vec<Vec<u8>>) -> Option<Costed> {
        if texts.iter().any(|text| text.len() < LITERAL_MIN) {
            return None;
        }
        let witness = |text: Vec<u8>| Witness { field, kind: Kind::Within, bytes: text.into() };
        Some(Costed::group(texts.into_iter().map(witness).collect()))
    }

    /// All of these must be seen: the cheapest, and others as long as it pays.
    fn all(mut found: Vec<Costed>) -> Option<Costed> {
        found.sort_by(|a, b| a.cost.total_cmp(&b.cost));
        let mut found = found.into_iter();
        let mut best = found.next()?;
        for other in found {
            // What is seen in every other event tells nothing.
            if best.cost <= COST_GOOD || other.cost > 0.5 {
                break;
            }
            best.join(&other);
        }
        Some(best)
    }

    /// One of these must be seen; none if there is one that cannot be.
    fn any(found: impl Iterator<Item = Option<Costed>>) -> Option<Costed> {
        let mut all = Costed::default();
        for found in found {
            all.or(found?);
        }
        Some(all)
    }

    /// It must be seen beside these.
    fn join(&mut self, other: &Costed) {
        let [groups] = other.clauses.as_slice() else { return };
        if self.clauses.iter().all(|clause| clause.len() + groups.len() <= GROUPS_MAX) {
            self.clauses.iter_mut().for_each(|clause| clause.extend(groups.iter().cloned()));
            self.cost *= other.cost.min(1.0);
        }
    }

    /// It or these must be seen. What needs only one group shares one.
    fn or(&mut self, other: Costed) {
        self.cost += other.cost;
        for mut clause in other.clauses {
            let same = self.clauses.iter_mut().find(|clause| clause.len() == 1).and_then(|c| c.first_mut());
            match (same, clause.pop()) {
                (Some(group), Some(more)) if clause.is_empty() => merge(group, more),
                (_, Some(last)) => {
                    clause.push(last);
                    self.clauses.push(clause);
                }
                (_, None) => {}
            }
        }
        if self.clauses.len() > CLAUSES_MAX {
            let mut all = Vec::new();
            // The first group of a clause is its cheapest.
            self.clauses
                .drain(..)
                .filter_map(|clause| clause.into_iter().next())
                .for_each(|group| merge(&mut all, group));
            self.clauses.push(vec![all]);
        }
    }
}

fn merge(group: &mut Group, more: Group) {
    for witness in more {
        if !group.contains(&witness) {
            group.push(witness);
        }
    }
}

fn costed(expr: &Expr) -> Option<Costed> {
    match expr {
        Expr::Test(test) => of_test(test),
        Expr::And(members) => Costed::all(members.iter().filter_map(costed).collect()),
        Expr::Or(members) => Costed::any(members.iter().map(costed)),
        Expr::Not(_) => None,
    }
}

fn of_test(test: &Test) -> Option<Costed> {
    match &test.check {
        // What other letters fold to is not told by their bytes.
        Check::Text(_, Fold::Unicode) => None,
        Check::Text(matcher, _) => of_text(test.field, matcher),
        Check::Regex(regex) => regex::costed(regex.as_str(), test.field)
            .or_else(|| of_byte(test.field, Kind::First, regex::first_byte(regex.as_str())?)),
        _ => None,
    }
}

fn of_text(field: Option<Field>, matcher: &Matcher) -> Option<Costed> {
    let literal = matcher.longest_literal().to_ascii_lowercase();
    let is_path = field.is_some_and(|f| PATHS.contains(&f));
    let (kind, bytes) = match matcher {
        Matcher::Equals(whole) if field.is_some() && !is_path => (Kind::Whole, whole.to_ascii_lowercase()),
        Matcher::Equals(end) | Matcher::Suffix(end)
            if is_path && end.contains(&b'/') && !end.ends_with(b"/") =>
        {
            let name = end.rsplit(|&b| b == b'/').next().unwrap_or(end);
            (Kind::BaseName, name.to_ascii_lowercase())
        }
        Matcher::Equals(whole) if field.is_some() => (Kind::Whole, whole.to_ascii_lowercase()),
        _ if literal.len() >= LITERAL_MIN => (Kind::Within, literal),
        Matcher::Prefix(start) => return start.first().and_then(|byte| of_byte(field, Kind::First, *byte)),
        Matcher::Suffix(end) => return end.last().and_then(|byte| of_byte(field, Kind::Last, *byte)),
        _ => return None,
    };
    let witness = Witness { field, kind, bytes: bytes.into() };
    Some(Costed::group(vec![witness]))
}

fn of_byte(field: Option<Field>, kind: Kind, byte: u8) -> Option<Costed> {
    let bytes = [byte.to_ascii_lowercase()];
    let witness = Witness { field: Some(field?), kind, bytes: bytes.into() };
    Some(Costed::group(vec![witness]))
}

/// Fields whose values are paths of programs, where rules ask for the last component.
const PATHS: [Field; 5] =
    [Field::IMAGE, Field::PARENT_IMAGE, Field::TARGET_IMAGE, Field::AUDIT_EXE, Field::ANCESTOR_IMAGES];

/// Names of programs that are seen all the time.
const BUSY_NAMES: [&str; 12] =
    ["sh", "bash", "dash", "python3", "python", "perl", "sudo", "systemd", "sshd", "cat", "grep", "node"];

/// How often it is seen in vain, estimated per event.
fn cost(witness: &Witness) -> f64 {
    let parent = matches!(
        witness.field,
        Some(Field::PARENT_IMAGE | Field::ANCESTOR_IMAGES | Field::PARENT_COMMAND_LINE)
    );
    let base = match witness.kind {
        Kind::BaseName if BUSY_NAMES.iter().any(|name| name.as_bytes() == &*witness.bytes) => 0.05,
        Kind::BaseName => 0.004,
        Kind::Whole => 0.02,
        Kind::First | Kind::Last
            if witness.bytes.first().is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'/') =>
        {
            0.1
        }
        Kind::First | Kind::Last => 0.01,
        Kind::Within => cost_of_literal(&witness.bytes),
    };
    if parent { base * 4.0 } else { base }
}

fn cost_of_literal(literal: &[u8]) -> f64 {
    let least = if literal.len() < TRIPLE { 0.3 } else { 0.003 };
    least + 0.03 * f64::from(u32::try_from(rarest(literal).1).unwrap_or(u32::MAX))
}

/// Where in a literal the three bytes are that are seen least, and how often they are in common text; of a shorter one
/// its beginning. Letters and blanks
/// count as commoner than other characters where common text has neither.
pub fn rarest(literal: &[u8]) -> (usize, usize) {
    let plain = |window: &[u8]| window.iter().filter(|b| b.is_ascii_alphabetic() || **b == b' ').count();
    let places = literal.windows(TRIPLE.min(literal.len()).max(1)).enumerate();
    let rated = places.map(|(at, window)| {
        let count = memchr::memmem::find_iter(COMMON.as_bytes(), window).count();
        (at, count, plain(window))
    });
    rated.min_by_key(|(_, count, plain)| (*count, *plain)).map_or((0, 0), |(at, count, _)| (at, count))
}
