// SPDX-License-Identifier: Apache-2.0
// Devices that this process sees, kinds of device that do not work, the NICs nearest to each, links between them.
#pragma once

#include <pirn/pirn.h>

#include <nlohmann/json.hpp>

#include <string>

// Adds "device_kinds", "devices" and "device_links" to the facts of collect(). Loads the runtime of every kind of device that is
// installed. Throws std::runtime_error with pirn's words.
void add_devices(pirn_context *context, nlohmann::json &facts);

void print_devices(const nlohmann::json &facts);
// ": cuda:0 NAME" for the device with this PCI address; "" if there is none, or devices were not asked for.
std::string device_at(const nlohmann::json &facts, const std::string &pci_address);
