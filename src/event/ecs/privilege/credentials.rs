//! Changes of users, groups and capabilities: what was asked for, what was before, and what it means.
//!
//! A success that changed nothing is reported with `changed: false`, for it cannot be told from others in the kernel
//! on every host, and what is left out there would be lost for good. The lists of supplementary groups are not compared.

use super::names;
use crate::event::ecs::names::capabilities;
use crate::event::ecs::{Context, Names, group, user};
use crate::event::json::{Object, key};
use crate::event::{Credentials, Creds};

/// All bits set: leave it, or none.
const NONE: u32 = u32::MAX;

/// `sentineledge.credentials`.
pub(in crate::event::ecs) fn credentials(
    o: &mut Object<'_>,
    event: &Credentials<'_>,
    context: &Context,
    users: &dyn Names,
) {
    let new = Creds::from(&event.task);
    let old = event.old.as_ref().or(context.old_creds.as_deref());
    let call = names::of(names::CREDENTIAL_CALLS, event.origin.call);
    o.object(key!("credentials"), |o| {
        if let Some(call) = call {
            o.plain(key!("call"), call.as_bytes());
        }
        asked(o, event, call);
        let Some(old) = old else { return };
        // Groups beside the main one are not kept, and they are all that this call sets.
        if event.errno == 0 && call != Some("setgroups") {
            o.boolean(key!("changed"), Creds { securebits: 0, ..*old } != new);
        }
        if event.errno != 0 {
            return;
        }
        o.object(key!("old"), |o| {
            user(o, key!("real_user"), old.uid, users);
            user(o, key!("user"), old.euid, users);
            user(o, key!("saved_user"), old.suid, users);
            group(o, key!("real_group"), old.gid, users);
            group(o, key!("group"), old.egid, users);
            group(o, key!("saved_group"), old.sgid, users);
            o.hex(key!("effective"), old.cap_effective);
            o.hex(key!("permitted"), old.cap_permitted);
        });
        o.flag(key!("became_root"), old.euid != 0 && new.euid == 0);
        let gained = new.cap_permitted & !old.cap_permitted | new.cap_effective & !old.cap_effective;
        let lost = old.cap_permitted & !new.cap_permitted | old.cap_effective & !new.cap_effective;
        for (key, set) in [(key!("gained"), gained), (key!("lost"), lost)] {
            // A list of nearly everything says no more than the ids do.
            match set.count_ones() {
                0 => {}
                1..=16 => drop(o.texts(key, capabilities(set).map(str::as_bytes))),
                _ => drop(o.texts(key, [&b"many"[..]])),
            }
        }
    });
}

/// The numbers of the call.
fn asked(o: &mut Object<'_>, event: &Credentials<'_>, call: Option<&'static str>) {
    if call == Some("setgroups") {
        o.number(key!("groups"), u64::from(event.asked[0]));
    } else if event.asked.iter().any(|id| *id != NONE) {
        let count = match call {
            Some("setreuid" | "setregid") => 2,
            Some("setresuid" | "setresgid") => 3,
            _ => 1,
        };
        let text = |id: &u32| if *id == NONE { "-1".to_owned() } else { id.to_string() };
        let ids: Vec<String> = event.asked.iter().take(count).map(text).collect();
        o.texts(key!("asked"), ids.iter().map(String::as_bytes));
    }
}
