// SPDX-License-Identifier: Apache-2.0
// The attributes of links by kind. Units and values are the kernel's own (uapi/linux/if_link.h): the bridge's times are
// in 1/100 s, the bond's in ms. The bridge keeps jiffies: unless HZ divides evenly, a time reads back a little smaller
// than it was written.
#pragma once

#include <linux/if_link.h>

#include <cstddef>
#include <cstdint>
#include <iterator>

namespace pw {

// Lists travel as one text, their addresses joined by commas; a nest is read only, its rows are those of the table that
// is named like it.
enum class Type { kBool, kU8, kU16, kU32, kU64, kS32, kBe16, kMac, kIp4, kIp6, kFlag, kIp4List, kIp6List, kNest };

struct Row {
  const char* name;
  uint16_t attribute;
  Type type;
};

// Later than the 6.1 headers: 6.7; of bonds 6.9 and 6.17.
constexpr uint16_t kBrFdbNLearned = 48;
constexpr uint16_t kBrFdbMaxLearned = 49;
constexpr uint16_t kBondCoupledControl = 32;
constexpr uint16_t kBondBroadcastNeigh = 33;

constexpr Row kBridge[] = {
    {"forwardDelay", IFLA_BR_FORWARD_DELAY, Type::kU32},
    {"helloTime", IFLA_BR_HELLO_TIME, Type::kU32},
    {"maxAge", IFLA_BR_MAX_AGE, Type::kU32},
    {"ageingTime", IFLA_BR_AGEING_TIME, Type::kU32},
    {"stpState", IFLA_BR_STP_STATE, Type::kU32},
    {"priority", IFLA_BR_PRIORITY, Type::kU16},
    {"vlanFiltering", IFLA_BR_VLAN_FILTERING, Type::kBool},
    {"vlanProtocol", IFLA_BR_VLAN_PROTOCOL, Type::kBe16},
    {"vlanDefaultPvid", IFLA_BR_VLAN_DEFAULT_PVID, Type::kU16},
    {"vlanStatsEnabled", IFLA_BR_VLAN_STATS_ENABLED, Type::kBool},
    {"vlanStatsPerPort", IFLA_BR_VLAN_STATS_PER_PORT, Type::kBool},
    {"groupFwdMask", IFLA_BR_GROUP_FWD_MASK, Type::kU16},
    {"groupAddr", IFLA_BR_GROUP_ADDR, Type::kMac},
    {"rootPort", IFLA_BR_ROOT_PORT, Type::kU16},
    {"rootPathCost", IFLA_BR_ROOT_PATH_COST, Type::kU32},
    {"topologyChange", IFLA_BR_TOPOLOGY_CHANGE, Type::kBool},
    {"mcastRouter", IFLA_BR_MCAST_ROUTER, Type::kU8},
    {"mcastSnooping", IFLA_BR_MCAST_SNOOPING, Type::kBool},
    {"mcastQueryUseIfaddr", IFLA_BR_MCAST_QUERY_USE_IFADDR, Type::kBool},
    {"mcastQuerier", IFLA_BR_MCAST_QUERIER, Type::kBool},
    {"mcastHashMax", IFLA_BR_MCAST_HASH_MAX, Type::kU32},
    {"mcastLastMemberCnt", IFLA_BR_MCAST_LAST_MEMBER_CNT, Type::kU32},
    {"mcastStartupQueryCnt", IFLA_BR_MCAST_STARTUP_QUERY_CNT, Type::kU32},
    {"mcastLastMemberIntvl", IFLA_BR_MCAST_LAST_MEMBER_INTVL, Type::kU64},
    {"mcastMembershipIntvl", IFLA_BR_MCAST_MEMBERSHIP_INTVL, Type::kU64},
    {"mcastQuerierIntvl", IFLA_BR_MCAST_QUERIER_INTVL, Type::kU64},
    {"mcastQueryIntvl", IFLA_BR_MCAST_QUERY_INTVL, Type::kU64},
    {"mcastQueryResponseIntvl", IFLA_BR_MCAST_QUERY_RESPONSE_INTVL, Type::kU64},
    {"mcastStartupQueryIntvl", IFLA_BR_MCAST_STARTUP_QUERY_INTVL, Type::kU64},
    {"mcastStatsEnabled", IFLA_BR_MCAST_STATS_ENABLED, Type::kBool},
    {"mcastIgmpVersion", IFLA_BR_MCAST_IGMP_VERSION, Type::kU8},
    {"mcastMldVersion", IFLA_BR_MCAST_MLD_VERSION, Type::kU8},
    {"nfCallIptables", IFLA_BR_NF_CALL_IPTABLES, Type::kBool},
    {"nfCallIp6tables", IFLA_BR_NF_CALL_IP6TABLES, Type::kBool},
    {"nfCallArptables", IFLA_BR_NF_CALL_ARPTABLES, Type::kBool},
    {"fdbNLearned", kBrFdbNLearned, Type::kU32},
    {"fdbMaxLearned", kBrFdbMaxLearned, Type::kU32},
};

constexpr Row kVlan[] = {
    {"id", IFLA_VLAN_ID, Type::kU16},
    {"protocol", IFLA_VLAN_PROTOCOL, Type::kBe16},
};

constexpr Row kTun[] = {
    {"owner", IFLA_TUN_OWNER, Type::kU32},
    {"group", IFLA_TUN_GROUP, Type::kU32},
    {"type", IFLA_TUN_TYPE, Type::kU8},
    {"pi", IFLA_TUN_PI, Type::kBool},
    {"vnetHdr", IFLA_TUN_VNET_HDR, Type::kBool},
    {"persist", IFLA_TUN_PERSIST, Type::kBool},
    {"multiQueue", IFLA_TUN_MULTI_QUEUE, Type::kBool},
    {"numQueues", IFLA_TUN_NUM_QUEUES, Type::kU32},
    {"numDisabledQueues", IFLA_TUN_NUM_DISABLED_QUEUES, Type::kU32},
};

constexpr Row kVxlan[] = {
    {"id", IFLA_VXLAN_ID, Type::kU32},
    {"group", IFLA_VXLAN_GROUP, Type::kIp4},
    {"group6", IFLA_VXLAN_GROUP6, Type::kIp6},
    {"link", IFLA_VXLAN_LINK, Type::kU32},
    {"local", IFLA_VXLAN_LOCAL, Type::kIp4},
    {"local6", IFLA_VXLAN_LOCAL6, Type::kIp6},
    {"ttl", IFLA_VXLAN_TTL, Type::kU8},
    {"ttlInherit", IFLA_VXLAN_TTL_INHERIT, Type::kFlag},
    {"tos", IFLA_VXLAN_TOS, Type::kU8},
    {"df", IFLA_VXLAN_DF, Type::kU8},
    {"learning", IFLA_VXLAN_LEARNING, Type::kBool},
    {"ageing", IFLA_VXLAN_AGEING, Type::kU32},
    {"limit", IFLA_VXLAN_LIMIT, Type::kU32},
    {"port", IFLA_VXLAN_PORT, Type::kBe16},
    {"proxy", IFLA_VXLAN_PROXY, Type::kBool},
    {"rsc", IFLA_VXLAN_RSC, Type::kBool},
    {"l2miss", IFLA_VXLAN_L2MISS, Type::kBool},
    {"l3miss", IFLA_VXLAN_L3MISS, Type::kBool},
    {"udpCsum", IFLA_VXLAN_UDP_CSUM, Type::kBool},
    {"udpZeroCsum6Tx", IFLA_VXLAN_UDP_ZERO_CSUM6_TX, Type::kBool},
    {"udpZeroCsum6Rx", IFLA_VXLAN_UDP_ZERO_CSUM6_RX, Type::kBool},
    {"gbp", IFLA_VXLAN_GBP, Type::kFlag},
    {"collectMetadata", IFLA_VXLAN_COLLECT_METADATA, Type::kBool},
    {"vnifilter", IFLA_VXLAN_VNIFILTER, Type::kBool},
};

constexpr Row kBond[] = {
    {"mode", IFLA_BOND_MODE, Type::kU8},
    {"activeSlave", IFLA_BOND_ACTIVE_SLAVE, Type::kU32},
    {"miimon", IFLA_BOND_MIIMON, Type::kU32},
    {"updelay", IFLA_BOND_UPDELAY, Type::kU32},
    {"downdelay", IFLA_BOND_DOWNDELAY, Type::kU32},
    {"useCarrier", IFLA_BOND_USE_CARRIER, Type::kBool},
    {"arpInterval", IFLA_BOND_ARP_INTERVAL, Type::kU32},
    {"arpIpTarget", IFLA_BOND_ARP_IP_TARGET, Type::kIp4List},
    {"nsIp6Target", IFLA_BOND_NS_IP6_TARGET, Type::kIp6List},
    {"arpValidate", IFLA_BOND_ARP_VALIDATE, Type::kU32},
    {"arpAllTargets", IFLA_BOND_ARP_ALL_TARGETS, Type::kU32},
    {"primary", IFLA_BOND_PRIMARY, Type::kU32},
    {"primaryReselect", IFLA_BOND_PRIMARY_RESELECT, Type::kU8},
    {"failOverMac", IFLA_BOND_FAIL_OVER_MAC, Type::kU8},
    {"xmitHashPolicy", IFLA_BOND_XMIT_HASH_POLICY, Type::kU8},
    {"resendIgmp", IFLA_BOND_RESEND_IGMP, Type::kU32},
    {"numPeerNotif", IFLA_BOND_NUM_PEER_NOTIF, Type::kU8},
    {"allSlavesActive", IFLA_BOND_ALL_SLAVES_ACTIVE, Type::kU8},
    {"minLinks", IFLA_BOND_MIN_LINKS, Type::kU32},
    {"lpInterval", IFLA_BOND_LP_INTERVAL, Type::kU32},
    {"packetsPerSlave", IFLA_BOND_PACKETS_PER_SLAVE, Type::kU32},
    {"lacpRate", IFLA_BOND_AD_LACP_RATE, Type::kU8},
    {"lacpActive", IFLA_BOND_AD_LACP_ACTIVE, Type::kBool},
    {"adSelect", IFLA_BOND_AD_SELECT, Type::kU8},
    {"adActorSysPrio", IFLA_BOND_AD_ACTOR_SYS_PRIO, Type::kU16},
    {"adUserPortKey", IFLA_BOND_AD_USER_PORT_KEY, Type::kU16},
    {"adActorSystem", IFLA_BOND_AD_ACTOR_SYSTEM, Type::kMac},
    {"tlbDynamicLb", IFLA_BOND_TLB_DYNAMIC_LB, Type::kBool},
    {"peerNotifDelay", IFLA_BOND_PEER_NOTIF_DELAY, Type::kU32},
    {"missedMax", IFLA_BOND_MISSED_MAX, Type::kU8},
    {"coupledControl", kBondCoupledControl, Type::kBool},
    {"broadcastNeighbor", kBondBroadcastNeigh, Type::kBool},
    {"adInfo", IFLA_BOND_AD_INFO, Type::kNest},
};

constexpr Row kBondAdInfo[] = {
    {"adAggregator", IFLA_BOND_AD_INFO_AGGREGATOR, Type::kU16},
    {"adNumPorts", IFLA_BOND_AD_INFO_NUM_PORTS, Type::kU16},
    {"adActorKey", IFLA_BOND_AD_INFO_ACTOR_KEY, Type::kU16},
    {"adPartnerKey", IFLA_BOND_AD_INFO_PARTNER_KEY, Type::kU16},
    {"adPartnerMac", IFLA_BOND_AD_INFO_PARTNER_MAC, Type::kMac},
};

// IFLA_INFO_SLAVE_DATA of a bond's member.
constexpr Row kBondMember[] = {
    {"state", IFLA_BOND_SLAVE_STATE, Type::kU8},
    {"miiStatus", IFLA_BOND_SLAVE_MII_STATUS, Type::kU8},
    {"linkFailureCount", IFLA_BOND_SLAVE_LINK_FAILURE_COUNT, Type::kU32},
    {"permanentMac", IFLA_BOND_SLAVE_PERM_HWADDR, Type::kMac},
    {"queueId", IFLA_BOND_SLAVE_QUEUE_ID, Type::kU16},
    {"adAggregator", IFLA_BOND_SLAVE_AD_AGGREGATOR_ID, Type::kU16},
    {"adActorPortState", IFLA_BOND_SLAVE_AD_ACTOR_OPER_PORT_STATE, Type::kU8},
    {"adPartnerPortState", IFLA_BOND_SLAVE_AD_PARTNER_OPER_PORT_STATE, Type::kU16},
};

// IFLA_INFO_SLAVE_DATA of a bridge's port. What the kernel only reports is here as far as it is used.
constexpr Row kBridgePort[] = {
    {"state", IFLA_BRPORT_STATE, Type::kU8},
    {"hairpin", IFLA_BRPORT_MODE, Type::kBool},
    {"guard", IFLA_BRPORT_GUARD, Type::kBool},
    {"protect", IFLA_BRPORT_PROTECT, Type::kBool},
    {"learning", IFLA_BRPORT_LEARNING, Type::kBool},
    {"unicastFlood", IFLA_BRPORT_UNICAST_FLOOD, Type::kBool},
    {"mcastFlood", IFLA_BRPORT_MCAST_FLOOD, Type::kBool},
    {"bcastFlood", IFLA_BRPORT_BCAST_FLOOD, Type::kBool},
    {"mcastToUcast", IFLA_BRPORT_MCAST_TO_UCAST, Type::kBool},
    {"proxyArp", IFLA_BRPORT_PROXYARP, Type::kBool},
    {"proxyArpWifi", IFLA_BRPORT_PROXYARP_WIFI, Type::kBool},
    {"neighSuppress", IFLA_BRPORT_NEIGH_SUPPRESS, Type::kBool},
    {"vlanTunnel", IFLA_BRPORT_VLAN_TUNNEL, Type::kBool},
    {"groupFwdMask", IFLA_BRPORT_GROUP_FWD_MASK, Type::kU16},
    {"isolated", IFLA_BRPORT_ISOLATED, Type::kBool},
    {"locked", IFLA_BRPORT_LOCKED, Type::kBool},
    {"number", IFLA_BRPORT_NO, Type::kU16},
};

constexpr Row kVrf[] = {{"table", IFLA_VRF_TABLE, Type::kU32}};

struct Table {
  const char* kind;
  const Row* rows;
  size_t count;
};
constexpr Table kTables[] = {
    {"bridge", kBridge, std::size(kBridge)},
    {"vlan", kVlan, std::size(kVlan)},
    {"tun", kTun, std::size(kTun)},
    {"vxlan", kVxlan, std::size(kVxlan)},
    {"bond", kBond, std::size(kBond)},
    {"vrf", kVrf, std::size(kVrf)},
    {"adInfo", kBondAdInfo, std::size(kBondAdInfo)},
    {"member of bond", kBondMember, std::size(kBondMember)},
    {"member of bridge", kBridgePort, std::size(kBridgePort)},
};

}  // namespace pw
