/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/* What every header of the switch needs: kernel types, helpers, the shared layout. */
#ifndef PORTWRIGHT_LIB_COMMON_H
#define PORTWRIGHT_LIB_COMMON_H

// clang-format off: bpf_helpers.h needs the types of linux/bpf.h
#include <linux/bpf.h>
#include <linux/if_packet.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
// clang-format on

#include "../abi.h"

#define ETH_HLEN 14
#define VLAN_HLEN 4
#define ETH_P_IP 0x0800
#define ETH_P_IPV6 0x86dd
#define ETH_P_8021Q 0x8100
#define ETH_P_8021AD 0x88a8

#define VLAN_VID_MASK 0x0fff
#define VLAN_VID_RESERVED 4095

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#endif
