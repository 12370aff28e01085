{
  "variables": { "asan%": 0 },
  "targets": [
    {
      "target_name": "portwright",
      "sources": [
        "native/addon/addon.cc",
        "native/addon/address.cc",
        "native/addon/bpf_attach.cc",
        "native/addon/bpf_bind.cc",
        "native/addon/bpf_bind_map.cc",
        "native/addon/bpf_clsact.cc",
        "native/addon/bpf_load.cc",
        "native/addon/bpf_log.cc",
        "native/addon/bpf_map.cc",
        "native/addon/bpf_objects.cc",
        "native/addon/bpf_ring.cc",
        "native/addon/bridge_stats.cc",
        "native/addon/bridge_vlan.cc",
        "native/addon/convert.cc",
        "native/addon/events.cc",
        "native/addon/executor.cc",
        "native/addon/host.cc",
        "native/addon/host_abi.cc",
        "native/addon/host_lock.cc",
        "native/addon/host_mount.cc",
        "native/addon/host_socket.cc",
        "native/addon/link.cc",
        "native/addon/link_change.cc",
        "native/addon/link_data.cc",
        "native/addon/link_delete.cc",
        "native/addon/link_js.cc",
        "native/addon/masquerade.cc",
        "native/addon/masquerade_js.cc",
        "native/addon/namespace.cc",
        "native/addon/neighbour.cc",
        "native/addon/netlink.cc",
        "native/addon/netns.cc",
        "native/addon/netns_make.cc",
        "native/addon/packet.cc",
        "native/addon/packet_socket.cc",
        "native/addon/receive.cc",
        "native/addon/program.cc",
        "native/addon/program_js.cc",
        "native/addon/route.cc",
        "native/addon/sysctl.cc",
        "native/addon/tap.cc"
      ],
      "include_dirs": ["<!@(node -p \"require('node-addon-api').include_dir\")", "bpf"],
      "defines": ["NAPI_VERSION=8", "NODE_ADDON_API_CPP_EXCEPTIONS", "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS", "_GNU_SOURCE"],
      "cflags_cc!": ["-fno-exceptions", "-fno-rtti"],
      "cflags_cc": ["-std=c++17", "-fexceptions", "-Wall", "-Wextra", "-Wno-missing-field-initializers", "-O2", "-fno-strict-aliasing"],
      "libraries": ["-lbpf", "-lmnl"],
      "conditions": [
        ["asan==1", { "cflags_cc": ["-fsanitize=address", "-fno-omit-frame-pointer", "-g"], "ldflags": ["-fsanitize=address"] }]
      ]
    }
  ]
}
