// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <napi.h>

namespace pw {

void InitPacket(Napi::Env env, Napi::Object exports);

}  // namespace pw
