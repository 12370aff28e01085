// SPDX-License-Identifier: Apache-2.0
// What all messages to nf_tables have in common; in the words of uapi/linux/netfilter/nf_tables.h.
#pragma once

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <sys/socket.h>

#include <string>
#include <vector>

#include "netlink.h"

namespace pw {

// About a table of family inet.
class NftMessage : public Message {
 public:
  NftMessage(int message, uint16_t flags, const char* table)
      : Message(static_cast<uint16_t>(NFNL_SUBSYS_NFTABLES << 8 | message), flags, std::string("table inet ") + table) {
    auto* header = Header<nfgenmsg>();
    header->nfgen_family = NFPROTO_INET;
    header->version = NFNETLINK_V0;
    header->res_id = 0;
  }
  void PutBig32(uint16_t type, uint32_t value) { Put32(type, htonl(value)); }
  // A value inside `type`: of a key, of a comparison.
  void PutValue(uint16_t type, const void* value, size_t length) {
    nlattr* nest = Nest(type);
    Put(NFTA_DATA_VALUE, value, length);
    End(nest);
  }
};

// Messages of which all are done or none.
class NftTransaction {
 public:
  NftTransaction() { Mark(NFNL_MSG_BATCH_BEGIN); }
  void Add(Message& message) {
    auto* bytes = reinterpret_cast<const char*>(message.header());
    bytes_.insert(bytes_.end(), bytes, bytes + MNL_ALIGN(message.header()->nlmsg_len));
    object_ = message.object();
  }
  void Send(NetlinkSocket& netfilter) {
    const std::string object = object_;
    Mark(NFNL_MSG_BATCH_END);
    netfilter.Transaction(bytes_, object);
  }

 private:
  void Mark(uint16_t type) {
    Message message(type, 0, "");
    auto* header = message.Header<nfgenmsg>();
    header->nfgen_family = AF_UNSPEC;
    header->version = NFNETLINK_V0;
    header->res_id = htons(NFNL_SUBSYS_NFTABLES);
    Add(message);
  }
  std::vector<char> bytes_;
  std::string object_;
};

// One of a rule's expressions, open until the end of its scope.
class NftExpression {
 public:
  NftExpression(NftMessage& message, const char* name) : message_(message), outer_(message.Nest(NFTA_LIST_ELEM)) {
    message.PutString(NFTA_EXPR_NAME, name);
    data_ = message.Nest(NFTA_EXPR_DATA);
  }
  ~NftExpression() {
    message_.End(data_);
    message_.End(outer_);
  }
  NftExpression(const NftExpression&) = delete;
  NftExpression& operator=(const NftExpression&) = delete;

 private:
  NftMessage& message_;
  nlattr *outer_, *data_;
};

}  // namespace pw
