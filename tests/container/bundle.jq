# SPDX-License-Identifier: Apache-2.0
# From the DaemonSet to the configuration of an OCI runtime: what kubelet and its runtime would make of the pod, as far
# as this test goes. Nothing about the agent stands here, so that the manifest alone says what it is given.
#
# $image   what the last stage of the Dockerfile says: entrypoint and environment
# $root    the image's root directory
# $scratch directory that takes the place of the node's for what the agent writes, and that has ConfigMaps and Secrets
# $node    name of the node
#
# Not made: seccomp and AppArmor profiles, which come with an engine, and limits of control groups.

.spec.template.spec as $pod
| ($pod.containers | if length == 1 then .[0] else error("the pod is to have one container") end) as $container
| ($pod.securityContext + $container.securityContext) as $security
| [$security.capabilities.add[] | "CAP_" + .] as $capabilities
| if $security.privileged or $security.capabilities.drop != ["ALL"] then error("the container has more than it asks for") else . end
| ($pod.volumes | map({key: .name, value: .}) | from_entries) as $volumes
| {
    ociVersion: "1.0.2",
    hostname: $node,
    root: {path: $root, readonly: $security.readOnlyRootFilesystem},
    process: {
      args: ($image.entrypoint + ($container.args // $image.command)),
      cwd: "/",
      env: ($image.environment + [
        $container.env[]
        | .name + "=" + (.value // (if .valueFrom.fieldRef.fieldPath == "spec.nodeName" then $node else error("unknown: \(.)") end))
      ]),
      user: {uid: $security.runAsUser, gid: $security.runAsGroup},
      # Kubernetes has no ambient capabilities.
      capabilities: {bounding: $capabilities, effective: $capabilities, permitted: $capabilities},
      noNewPrivileges: ($security.allowPrivilegeEscalation | not)
    },
    mounts: ([
      {destination: "/proc", type: "proc", source: "proc", options: ["nosuid", "noexec", "nodev"]},
      {destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "strictatime", "mode=755", "size=64k"]},
      {destination: "/sys", type: "sysfs", source: "sysfs", options: ["nosuid", "noexec", "nodev", "ro"]}
    ] + [
      $container.volumeMounts[]
      | . as $mount
      | $volumes[.name] as $volume
      | (if $volume.hostPath.type == "Directory" then $volume.hostPath.path
         elif $volume.hostPath then $scratch + "/node" + $volume.hostPath.path
         elif $volume.configMap then $scratch + "/configmaps/" + $volume.configMap.name
         elif $volume.secret then $scratch + "/secrets/" + $volume.secret.secretName
         else error("no such volume: \($mount)") end) as $source
      | {
          destination: .mountPath,
          type: "bind",
          source: ($source + (if .subPath then "/" + .subPath else "" end)),
          options: ["rbind", "rprivate", (if .recursiveReadOnly then "rro" elif .readOnly then "ro" else "rw" end)]
        }
    ]),
    linux: {
      # The group's own view is what runtimes give where there is only version 2 of control groups.
      namespaces: ([{type: "mount"}, {type: "ipc"}, {type: "cgroup"}]
        + (if $pod.hostPID then [] else [{type: "pid"}] end)
        + (if $pod.hostNetwork then [] else [{type: "network"}, {type: "uts"}] end)),
      maskedPaths: ["/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware"],
      readonlyPaths: ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
    }
  }
| if $pod.hostNetwork then del(.hostname) else . end
