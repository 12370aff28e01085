// SPDX-License-Identifier: Apache-2.0
#include "bpf_log.h"

#include <bpf/libbpf.h>

#include <cstdarg>
#include <cstdio>
#include <string_view>
#include <vector>

namespace pw::bpf {

namespace {

// The verifier's log is 16 MiB at most (libbpf's own limit); a failed load repeats little else.
constexpr size_t kMaxLog = 17u << 20;
constexpr size_t kTailLines = 12;
constexpr std::string_view kBegin = "-- BEGIN PROG LOAD LOG --\n";
constexpr std::string_view kEnd = "-- END PROG LOAD LOG --";

thread_local LogScope* current = nullptr;

}  // namespace

struct LogSink {
  static int Print(enum libbpf_print_level level, const char* format, va_list args) {
    if (current == nullptr || level == LIBBPF_DEBUG) return 0;
    va_list again;
    va_copy(again, args);
    int length = vsnprintf(nullptr, 0, format, again);
    va_end(again);
    std::string& text = current->text_;
    if (length <= 0 || text.size() + static_cast<size_t>(length) > kMaxLog) return 0;
    size_t at = text.size();
    text.resize(at + length + 1);
    vsnprintf(text.data() + at, length + 1, format, args);
    text.pop_back();
    return length;
  }
};

void InstallLog() {
  libbpf_set_print(LogSink::Print);
}

LogScope::LogScope() : outer_(current) {
  current = this;
}
LogScope::~LogScope() {
  current = outer_;
}

std::string LogScope::Tail() const {
  std::string_view log = text_;
  if (size_t begin = log.rfind(kBegin); begin != log.npos) {
    log.remove_prefix(begin + kBegin.size());
    log = log.substr(0, log.rfind('\n', log.find(kEnd)));  // without the line that holds kEnd
  }
  while (!log.empty() && log.back() == '\n') log.remove_suffix(1);
  size_t from = log.size();
  for (size_t lines = 0; lines < kTailLines && from > 0 && from != log.npos; lines++) {
    from = from == 0 ? log.npos : log.rfind('\n', from - 1);
  }
  return std::string(from == log.npos || from == log.size() ? log : log.substr(from + 1));
}

// libbpf says: libbpf: prog 'name': BPF program load failed: Permission denied
std::string LogScope::FailedProgram() const {
  size_t failed = text_.rfind("': BPF program load failed");
  if (failed == std::string::npos) return {};
  size_t quote = text_.rfind('\'', failed - 1);
  return quote == std::string::npos ? std::string() : text_.substr(quote + 1, failed - quote - 1);
}

}  // namespace pw::bpf
