// SPDX-License-Identifier: Apache-2.0
// Units and values are the kernel's own (uapi/linux/if_link.h): the bridge's times are in 1/100 s, the bond's in ms.
// The bridge keeps jiffies: unless HZ divides evenly, a time reads back a little smaller than it was written.
#include "link_data.h"

#include <arpa/inet.h>
#include <linux/if_link.h>
#include <linux/veth.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "convert.h"

namespace pw {

namespace {

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
    {kMemberOfBond, kBondMember, std::size(kBondMember)},
};

const Table* FindTable(const std::string& kind) {
  for (const Table& table : kTables) {
    if (kind == table.kind) return &table;
  }
  return nullptr;
}

const Row* FindRow(const std::string& kind, const std::string& name) {
  if (const Table* table = FindTable(kind)) {
    for (size_t i = 0; i < table->count; i++) {
      if (name == table->rows[i].name) return &table->rows[i];
    }
  }
  return nullptr;
}

[[noreturn]] void Refuse(const std::string& kind, const std::string& name, const std::string& why) {
  throw KernelError(EINVAL, "link data", kind + "." + name, why);
}

// The largest number a row takes; 64-bit attributes end where a JavaScript number stops being exact.
double Largest(Type type) {
  switch (type) {
    case Type::kU8:
      return UINT8_MAX;
    case Type::kU16:
    case Type::kBe16:
      return UINT16_MAX;
    case Type::kU32:
      return UINT32_MAX;
    case Type::kS32:
      return INT32_MAX;
    default:
      return 9007199254740991.0;
  }
}

void EncodeNumber(Message& message, const std::string& kind, const Row& row, double n) {
  double least = row.type == Type::kS32 ? INT32_MIN : 0;
  if (std::trunc(n) != n || n < least || n > Largest(row.type)) {
    Refuse(kind, row.name,
           "not an integer from " + std::to_string(static_cast<int64_t>(least)) + " to " +
               std::to_string(static_cast<int64_t>(Largest(row.type))));
  }
  switch (row.type) {
    case Type::kU8:
      return message.Put8(row.attribute, static_cast<uint8_t>(n));
    case Type::kU16:
      return message.Put16(row.attribute, static_cast<uint16_t>(n));
    case Type::kBe16:
      return message.Put16(row.attribute, htons(static_cast<uint16_t>(n)));
    case Type::kU64:
      return message.Put64(row.attribute, static_cast<uint64_t>(n));
    case Type::kS32:
      return message.Put32(row.attribute, static_cast<uint32_t>(static_cast<int32_t>(n)));
    default:
      return message.Put32(row.attribute, static_cast<uint32_t>(n));
  }
}

void EncodeText(Message& message, const std::string& kind, const Row& row, const std::string& text) {
  if (row.type == Type::kMac) {
    Mac mac = ParseMac(text, kind + "." + row.name);
    return message.Put(row.attribute, mac.data(), mac.size());
  }
  IpAddress ip = ParseIp(text, kind + "." + row.name);
  if (ip.length != (row.type == Type::kIp4 ? 4u : 16u)) Refuse(kind, row.name, "an address of the other family");
  message.Put(row.attribute, ip.bytes.data(), ip.length);
}

void EncodeList(Message& message, const std::string& kind, const Row& row, const std::string& text) {
  nlattr* nest = message.Nest(row.attribute);
  uint16_t index = 0;
  for (size_t begin = 0; begin < text.size();) {
    size_t end = std::min(text.find(',', begin), text.size());
    IpAddress ip = ParseIp(text.substr(begin, end - begin), kind + "." + row.name);
    if (ip.length != (row.type == Type::kIp4List ? 4u : 16u)) Refuse(kind, row.name, "an address of the other family");
    message.Put(index++, ip.bytes.data(), ip.length);
    begin = end + 1;
  }
  message.End(nest);
}

std::string DecodeList(const Row& row, const nlattr* nest) {
  size_t length = row.type == Type::kIp4List ? 4 : 16;
  std::string text;
  for (const nlattr* attr : Attributes(nest)) {
    if (mnl_attr_get_payload_len(attr) < length) continue;
    if (!text.empty()) text += ',';
    text += FormatIp(mnl_attr_get_payload(attr), length);
  }
  return text;
}

bool DecodeRow(const Row& row, const nlattr* attr, DataValue& value) {
  size_t length = mnl_attr_get_payload_len(attr);
  const void* data = mnl_attr_get_payload(attr);
  auto number = [&](auto sample, auto map) {
    if (length < sizeof sample) return false;
    std::memcpy(&sample, data, sizeof sample);
    value = static_cast<double>(map(sample));
    return true;
  };
  auto same = [](auto v) { return v; };
  switch (row.type) {
    case Type::kBool:
      if (length < 1) return false;
      value = *static_cast<const uint8_t*>(data) != 0;
      return true;
    case Type::kFlag:
      value = true;
      return true;
    case Type::kU8:
      return number(uint8_t{}, same);
    case Type::kU16:
      return number(uint16_t{}, same);
    case Type::kBe16:
      return number(uint16_t{}, [](uint16_t v) { return ntohs(v); });
    case Type::kU32:
      return number(uint32_t{}, same);
    case Type::kU64:
      return number(uint64_t{}, same);
    case Type::kS32:
      return number(int32_t{}, same);
    case Type::kMac:
      if (length < 6) return false;
      value = FormatMac(data, 6);
      return true;
    case Type::kIp4:
    case Type::kIp6:
      if (length < (row.type == Type::kIp4 ? 4u : 16u)) return false;
      value = FormatIp(data, row.type == Type::kIp4 ? 4 : 16);
      return true;
    case Type::kIp4List:
    case Type::kIp6List:
      value = DecodeList(row, attr);
      return true;
    case Type::kNest:
      return false;
  }
  return false;
}

}  // namespace

void EncodeLinkData(Message& message, const std::string& kind, const LinkData& data) {
  for (const auto& [name, value] : data) {
    const Row* row = FindRow(kind, name);
    if (!row) Refuse(kind, name, "a link of kind \"" + kind + "\" has no attribute \"" + name + "\"");
    switch (row->type) {
      case Type::kBool:
        if (!std::holds_alternative<bool>(value)) Refuse(kind, name, "takes true or false");
        message.Put8(row->attribute, std::get<bool>(value));
        break;
      case Type::kFlag:  // present or absent
        if (!std::holds_alternative<bool>(value)) Refuse(kind, name, "takes true or false");
        if (std::get<bool>(value)) message.Put(row->attribute, nullptr, 0);
        break;
      case Type::kMac:
      case Type::kIp4:
      case Type::kIp6:
        if (!std::holds_alternative<std::string>(value)) Refuse(kind, name, "takes an address as text");
        EncodeText(message, kind, *row, std::get<std::string>(value));
        break;
      case Type::kIp4List:
      case Type::kIp6List:
        if (!std::holds_alternative<std::string>(value)) Refuse(kind, name, "takes addresses joined by commas");
        EncodeList(message, kind, *row, std::get<std::string>(value));
        break;
      case Type::kNest:
        Refuse(kind, name, "is read only");
      default:
        if (!std::holds_alternative<double>(value)) Refuse(kind, name, "takes a number");
        EncodeNumber(message, kind, *row, std::get<double>(value));
    }
  }
}

LinkData DecodeLinkData(const std::string& kind, const nlattr* info_data) {
  LinkData result;
  const Table* table = FindTable(kind);
  if (!table || !info_data) return result;
  for (const nlattr* attr : Attributes(info_data)) {
    for (size_t i = 0; i < table->count; i++) {
      const Row& row = table->rows[i];
      DataValue value;
      if (row.attribute != mnl_attr_get_type(attr)) continue;
      if (row.type == Type::kNest) {
        for (auto& inner : DecodeLinkData(row.name, attr)) result.push_back(std::move(inner));
      } else if (DecodeRow(row, attr, value)) {
        result.emplace_back(row.name, std::move(value));
      }
      break;
    }
  }
  return result;
}

}  // namespace pw
