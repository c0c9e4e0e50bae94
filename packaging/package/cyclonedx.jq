# CycloneDX 1.5 out of `cargo metadata`: the crates that are named in $crates, a name and a version a line.
($crates | split("\n") | map(select(. != ""))) as $wanted
| {
    bomFormat: "CycloneDX",
    specVersion: "1.5",
    version: 1,
    metadata: {
      timestamp: $time,
      component: {
        type: "application", "bom-ref": "sentinel-edge", name: "sentinel-edge", version: $version,
        licenses: [{ expression: "Apache-2.0" }]
      }
    },
    components: [
      .packages[]
      | select((.name + " " + .version) as $crate | $wanted | index($crate))
      | select(.name != "sentinel-edge")
      | {
          type: "library", "bom-ref": ("pkg:cargo/" + .name + "@" + .version), name: .name, version: .version,
          purl: ("pkg:cargo/" + .name + "@" + .version)
        }
        + (if .description then { description: (.description | gsub("\\s+"; " ")) } else {} end)
        + (if .license then { licenses: [{ expression: (.license | gsub("/"; " OR ")) }] } else {} end)
        + (if .repository then { externalReferences: [{ type: "vcs", url: .repository }] } else {} end)
    ] | sort_by(.name, .version)
  }
