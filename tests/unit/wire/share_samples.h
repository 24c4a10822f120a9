// SPDX-License-Identifier: Apache-2.0
// Known messages of the same-host channel, as version 1 writes them and as a newer peer would.
#pragma once

#include "samples.h"
#include "wire/share.h"

pirn::wire::ShareHello sample_share_hello();
pirn::wire::ShareChallenge sample_share_challenge();
pirn::wire::ShareProof sample_share_proof();
pirn::wire::ShareWelcome sample_share_welcome();
pirn::wire::ShareAsk sample_share_ask();
pirn::wire::ShareAnswer sample_share_answer();  // comes with sample_share_files descriptors
pirn::wire::ShareAnswer sample_share_plain();
pirn::wire::ShareAnswer sample_share_refusal();
constexpr size_t sample_share_files = 2;
constexpr uint32_t sample_share_request = 0xa1b2c3d4;

std::vector<Sample> share_samples();        // "share_" and the kind; one of each, and a refusing answer
std::vector<Sample> newer_share_samples();  // "newer_share_": decode to the same values
