// SPDX-License-Identifier: Apache-2.0
// Programs that are run to their end.
#pragma once

#include <napi.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace pw {

struct ProgramCall {
  std::string file;
  std::vector<std::string> environment;  // "NAME=value"
  std::string input;
  uint32_t timeout_ms = 0;
  uint32_t max_output = 0;  // bytes, of each of the two streams
};

struct ProgramEnd {
  int status = 0;        // as waitpid() gives it
  const char* cut = "";  // why it was killed: "timeout" or "output"
  std::string output, errors;
};

// Blocks until the program has ended, or was killed with all that it had started. `on_output`, if there is one, is
// called with all that it has written so far whenever that is more.
ProgramEnd RunProgram(const ProgramCall& call, const std::function<void(const std::string&)>& on_output);

void InitPrograms(Napi::Env env, Napi::Object exports);

}  // namespace pw
