//! Compares the ABI with its reviewed description, `tests/data/abi_layout.txt`.
//!
//! The description is drawn from the BTF of the anchor object, so from clang, not from the Rust types.
//! `WRITE_GOLDEN=1` writes it anew.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::mem::MaybeUninit;
use std::path::Path;

use libbpf_rs::AsRawLibbpf as _;
use libbpf_rs::btf::types::{Array, Enum, Int, MemberAttr, Struct};
use libbpf_rs::btf::{Btf, BtfType, HasSize as _};
use libbpf_rs::skel::{OpenSkel as _, SkelBuilder as _};

use super::*;

/// Runs `read` on the BTF of the anchor object, which is opened for that and never loaded.
fn with_btf<T>(read: impl FnOnce(&Btf<'_>) -> T) -> T {
    let mut object = MaybeUninit::uninit();
    let skel = generated::AbiSkelBuilder::default().open(&mut object).unwrap();
    let object = skel.open_object().as_libbpf_object();
    // SAFETY: the pointer is not null by its type, points to the object that `skel` owns, and nothing changes
    // that object while `read` runs: `skel` is borrowed by nobody else and dropped after.
    let btf = Btf::from_bpf_object(unsafe { object.as_ref() }).unwrap().expect("clang wrote BTF");
    read(&btf)
}

fn text(name: Option<&OsStr>) -> &str {
    name.and_then(OsStr::to_str).unwrap_or("(anonymous)")
}

fn type_name(ty: BtfType<'_>) -> String {
    let ty = ty.skip_mods_and_typedefs();
    if let Ok(array) = Array::try_from(ty) {
        return format!("{}[{}]", type_name(array.contained_type()), array.capacity());
    }
    match Int::try_from(ty) {
        Ok(int) if text(int.name()).contains("unsigned") => format!("u{}", int.bits),
        Ok(int) => format!("s{}", int.bits),
        Err(_) => text(ty.name()).to_owned(),
    }
}

fn layout_of(btf: &Btf<'_>) -> String {
    let mut out = String::from(
        "# Every struct of bpf/abi.h with its size, and every field as `offset size name type`; then every constant.\n\
         # From the BTF that clang writes. WRITE_GOLDEN=1 cargo test abi_layout writes it anew.\n",
    );
    let ours = |name: Option<&OsStr>| text(name).starts_with("se_");
    for record in btf.type_by_kind::<Struct<'_>>().filter(|s| ours(s.name())) {
        writeln!(out, "\nstruct {} {}", text(record.name()), record.size()).unwrap();
        let offsets: Vec<usize> = record
            .iter()
            .map(|member| match member.attr {
                MemberAttr::Normal { offset } => usize::try_from(offset).unwrap() / 8,
                MemberAttr::BitField { .. } => {
                    panic!("{}: bit-fields are not part of the ABI", text(record.name()))
                }
            })
            .chain([record.size()])
            .collect();
        for (member, span) in record.iter().zip(offsets.windows(2)) {
            let ty = type_name(btf.type_by_id::<BtfType<'_>>(member.ty).unwrap());
            writeln!(out, "{:>7} {:>4} {} {ty}", span[0], span[1] - span[0], text(member.name)).unwrap();
        }
    }
    for constants in btf.type_by_kind::<Enum<'_>>().filter(|e| ours(e.name())) {
        writeln!(out, "\nenum {}", text(constants.name())).unwrap();
        for constant in constants.iter() {
            writeln!(out, "{:>7} {}", constant.value, text(constant.name)).unwrap();
        }
    }
    out
}

#[test]
fn abi_layout_is_the_reviewed_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/abi_layout.txt");
    let layout = with_btf(layout_of);
    if std::env::var_os("WRITE_GOLDEN").is_some() {
        std::fs::write(&path, &layout).unwrap();
    }
    let reviewed = std::fs::read_to_string(&path).unwrap();
    for (line, (now, then)) in layout.lines().zip(reviewed.lines()).enumerate() {
        assert_eq!(
            now,
            then,
            "line {}: raise SE_ABI_VERSION if a record changed, then WRITE_GOLDEN=1",
            line + 1
        );
    }
    assert_eq!(
        layout.lines().count(),
        reviewed.lines().count(),
        "raise SE_ABI_VERSION if a record changed, then WRITE_GOLDEN=1"
    );
}

/// The compile-time check trusts `SE_KIND_MAX`, which a person types.
#[test]
fn every_number_of_se_kind_is_a_kind() {
    let constants: Vec<(String, u16)> = with_btf(|btf| {
        let kinds = btf.type_by_name::<Enum<'_>>("se_kind").unwrap();
        kinds.iter().map(|c| (text(c.name).to_owned(), u16::try_from(c.value).unwrap())).collect()
    });
    assert_eq!(constants.len(), Kind::COUNT + 1, "{constants:?}");
    for (name, number) in constants.iter().filter(|(name, _)| name != "SE_KIND_MAX") {
        let kind =
            Kind::from_number(*number).unwrap_or_else(|| panic!("event::Kind lacks {name} = {number}"));
        assert_eq!(*name, format!("SE_KIND_{}", kind.name().to_uppercase()));
    }
}

/// Rust's own offsets, where a mistake would be worst: at the ends of the widest struct.
#[test]
fn rust_agrees_with_btf_on_offsets() {
    let last = |name: &str| {
        with_btf(|btf| {
            let record = btf.type_by_name::<Struct<'_>>(name).unwrap();
            let member = record.iter().last().unwrap();
            let MemberAttr::Normal { offset } = member.attr else { panic!("{name} ends in a bit-field") };
            usize::try_from(offset).unwrap() / 8
        })
    };
    assert_eq!(last("se_exec"), std::mem::offset_of!(types::se_exec, env));
    assert_eq!(last("se_task"), std::mem::offset_of!(types::se_task, comm));
    assert_eq!(last("se_image"), std::mem::offset_of!(types::se_image, cwd));
    assert_eq!(last("se_header"), std::mem::offset_of!(types::se_header, cpu));
}
