/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/*
 * The layout of everything that the eBPF switch and the daemon share: map keys and values, limits, reasons, events.
 * Included by the BPF programs and by the addon; daemon/datapath/ebpf/layout.ts mirrors it and is checked against
 * the addon's sizeof/offsetof table when the daemon starts. All integers are in host byte order.
 *
 * Change anything here, or the shape of any map of the programs, and PW_ABI_VERSION must rise: pins live under a
 * directory of that name, so an old daemon's maps are never read with a new layout.
 */
#ifndef PORTWRIGHT_ABI_H
#define PORTWRIGHT_ABI_H

#ifdef __bpf__
typedef __u8 pw_u8;
typedef __u16 pw_u16;
typedef __u32 pw_u32;
typedef __u64 pw_u64;
#else
#include <stdint.h>
typedef uint8_t pw_u8;
typedef uint16_t pw_u16;
typedef uint32_t pw_u32;
typedef uint64_t pw_u64;
#endif

#define PW_ABI_VERSION 2

/* Limits. A dense port id is 1..PW_MAX_PORTS-1; id 0 means "no port". */
#define PW_MAX_PORTS 4096
#define PW_MAX_SWITCHES 16 /* cluster networks on one host */
#define PW_MAX_VLANS 4096
#define PW_DENSE_IFINDEX 65536 /* larger interface indexes live in the hash if2port_high */
#define PW_FLOOD_MAX 1024      /* members of one flood list, tagged and untagged together */
#define PW_FDB_MAX 65536
#define PW_SLOTS_MAX 16384 /* (port, VLAN) counter slots */
#define PW_DROP_REASONS 32

/*
 * A forwarding domain is one VLAN of one switch: (switch_id << 12) | vid. Sixteen switches of 4096 VLANs fill 16 bits
 * exactly, so the domain needs no table and two switches can hold the same VLAN and MAC without meeting.
 */
#define PW_DOMAIN(sw, vid) ((pw_u16)(((sw) << 12) | ((vid) & 0xfff)))

/* pw_port.kind */
#define PW_KIND_VETH 1
#define PW_KIND_NIC 2 /* uplink: a NIC or a bond master */
#define PW_KIND_TAP 3
#define PW_KIND_HOST 4 /* a veth whose other end stays with the daemon (probes) */

/* pw_port.flags */
#define PW_PORT_UP 0x0001   /* clear: every frame in or out of the port is dropped as port_down, none learned from */
#define PW_PORT_PEER 0x0002 /* deliver by bpf_redirect_peer: the veth's peer lies in another network namespace */
#define PW_PORT_ISOLATED 0x0004 /* no frame between two isolated ports of one switch */
#define PW_PORT_SINGLE 0x0008   /* exactly one VLAN: the rank of that VLAN is 0, no population count needed */
#define PW_PORT_LEARN 0x0010    /* learn source addresses, and hold sticky ones to their port */
#define PW_PORT_FLOOD 0x0020    /* receives unknown unicast (broadcast and multicast always) */
#define PW_PORT_UPLINK 0x0040
#define PW_PORT_HAIRPIN 0x0080 /* frames may leave by the port that they came in by */

/*
 * One port. allowed and untagged are bitmaps over VIDs, word vid / 64, bit vid % 64. rank[w] is the number of bits set
 * in allowed[0..w-1], so the counter slot of a VLAN is slot_base + rank[vid / 64] + popcount(allowed word below vid).
 * The PVID must be in allowed, untagged must be a part of allowed.
 *
 * The kernel copies a map value word by word while programs read it. To give a port id to another device, clear
 * PW_PORT_UP first, then write the new port without it, then set it. A change of one port's VLANs may tear; what is
 * torn is still only that port's old and new membership.
 */
struct pw_port {
  pw_u32 ifindex;
  pw_u16 flags;
  pw_u16 pvid; /* VLAN of untagged and priority-tagged frames that come in; 0: such frames are dropped */
  pw_u8 kind;
  pw_u8 switch_id;  /* 0..PW_MAX_SWITCHES-1 */
  pw_u16 mtu;       /* largest layer-3 size in bytes that may be sent to the port; see lib/deliver.h for the slack */
  pw_u32 slot_base; /* first counter slot */
  pw_u32 slot_count;
  pw_u32 fdb_limit; /* addresses that may be learned on the port; 0: no limit of its own */
  pw_u64 source;    /* as an FDB key in domain 0: the only source of frames that come in; 0: any. See lib/recent.h */
  pw_u64 allowed[PW_MAX_VLANS / 64];
  pw_u64 untagged[PW_MAX_VLANS / 64];
  pw_u16 rank[PW_MAX_VLANS / 64];
};

/* FDB key: bits 63..16 the MAC in transmission order (first octet most significant), bits 15..0 the domain. */
#define PW_FDB_STATIC 0x0001 /* set by the daemon; does not age */
#define PW_FDB_STICKY 0x0002 /* does not move: a frame with this source from another port is dropped */
struct pw_fdb_entry {
  pw_u16 port;
  pw_u16 flags;
  pw_u32 tick; /* jiffies64 >> PW_TICK_SHIFT when a frame with this source was last seen */
};
#define PW_TICK_SHIFT 8

/*
 * Flood list of a domain: first the members that send it untagged, then those that send it tagged. The order only saves
 * work: membership and form are read from each member's port again, so a list that is behind cannot leak a frame.
 */
struct pw_flood {
  pw_u16 n_untagged;
  pw_u16 n_tagged;
  pw_u16 member[PW_FLOOD_MAX];
};

/*
 * Counters of one (port, VLAN) slot. receive: frames accepted at the port; transmit: handed to the port. As the Linux
 * bridge does per VLAN, a GSO frame counts once with its whole length. Bytes: Ethernet header and payload without FCS
 * and without the 802.1Q tag (an 802.1ad tag counts), so the same frame has the same size in every form.
 */
struct pw_counters {
  pw_u64 rx_packets;
  pw_u64 rx_bytes;
  pw_u64 tx_packets;
  pw_u64 tx_bytes;
};

/* Counters of one port that are not by VLAN. */
struct pw_port_stats {
  pw_u64 flood_packets; /* frames from the port that were flooded */
  pw_u64 fdb_moves;     /* addresses that moved to the port */
  pw_u64 fdb_limit_hits;
  pw_u64 fdb_full;   /* not learned: the table was full */
  pw_u64 event_lost; /* events not reported: ring buffer full or rate limit */
  pw_u64 reserved;
};

/*
 * Why a frame, or a copy of a flooded one, was dropped. in: counted at the port it came from; out: at the port it was
 * for. Exactly one reason is counted a frame or copy; port 0 counts what came in on a device that is no port.
 */
enum pw_drop {
  PW_DROP_NONE = 0,
  PW_DROP_RUNT,             /* in: ends within the Ethernet header or its 802.1Q tag */
  PW_DROP_BAD_SOURCE,       /* in: multicast or all-zero source MAC */
  PW_DROP_RESERVED_VID,     /* in: VID 4095 */
  PW_DROP_UNTAGGED,         /* in: untagged frame and the port has no PVID */
  PW_DROP_VLAN_NOT_ALLOWED, /* in: tagged with a VLAN that is not allowed on the port */
  PW_DROP_PORT_DOWN,        /* in or out: the port is not up */
  PW_DROP_STICKY_MOVE,      /* in: the source MAC belongs to another port and may not move */
  PW_DROP_HAIRPIN,          /* in: the destination is on the port it came from, and that is no hairpin */
  PW_DROP_EGRESS_VLAN,      /* out: FDB names a port that is not a member of the VLAN (any more) */
  PW_DROP_ISOLATED,         /* out: both ports are isolated */
  PW_DROP_MTU,              /* out: larger than the port's MTU */
  PW_DROP_REDIRECT,         /* out: tag or redirect helper failed */
  PW_DROP_NO_PORT,          /* out: FDB or flood list names a port that does not exist (any more); in: see above */
  PW_DROP_NO_MEMBER,        /* in: nobody to flood to */
  PW_DROP_SPOOFED,          /* in: the source MAC is not the port's */
  PW_DROP_COUNT
};

/* Drops of one port. One value a port, not one a counter: 131072 per-CPU allocations would take 150 ms at load. */
struct pw_drops {
  pw_u64 reason[PW_DROP_REASONS];
};

/* Events, one ring buffer. */
enum pw_event_type {
  PW_EVENT_FDB_MOVE = 1, /* mac in domain moved from `from` to `port` */
  PW_EVENT_FDB_FULL,
  PW_EVENT_FDB_LIMIT,
  PW_EVENT_STICKY_MOVE,
  PW_EVENT_FDB_LEARN,
};
struct pw_event {
  pw_u32 type;
  pw_u16 port;
  pw_u16 from;
  pw_u64 mac_domain; /* as the FDB key */
  pw_u64 time_ns;    /* bpf_ktime_get_ns */
};

/* Map `config`, one entry. */
struct pw_config {
  pw_u32 abi_version;
  pw_u32 event_rate;   /* most events a second and CPU; 0: no events */
  pw_u32 learn_events; /* 1: report every learned address as well */
  pw_u32 reserved;
};

/* Answer of the program `clock` (SEC("syscall")): used by ageing to relate ticks to time. Its context is this struct.
 */
struct pw_clock {
  pw_u64 jiffies;
  pw_u64 time_ns;
};

/*
 * Context of the program `fdb_sweep` (SEC("syscall")): removes entries from the FDB and keeps fdb_count right, which a
 * removal from user space could not do without racing the data path. For ageing, and to forget a port or a domain.
 */
#define PW_SWEEP_STATIC 0x0001  /* static entries as well */
#define PW_SWEEP_OTHERS 0x0002  /* at all ports but `port` */
#define PW_SWEEP_ANSWERS 0x0004 /* no entry at all: only what the CPUs remember of them (lib/recent.h) */
#define PW_SWEEP_GONE 0x0008    /* only at ports that are none any more */
struct pw_sweep {
  pw_u64 mac;         /* as an FDB key in domain 0; 0: any */
  pw_u32 min_age;     /* in ticks; 0: whatever the age */
  pw_u16 domain;      /* as far as domain_mask says */
  pw_u16 domain_mask; /* 0: any; 0xf000: all of a switch */
  pw_u16 port;        /* 0: any */
  pw_u16 flags;
  pw_u32 removed; /* answer */
  pw_u32 kept;    /* answer: entries left */
  pw_u32 reserved;
};

#endif
