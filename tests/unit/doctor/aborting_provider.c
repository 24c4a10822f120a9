/* SPDX-License-Identifier: Apache-2.0 */
/* A libfabric provider that ends the process when it is loaded, as real ones do on some settings. */
#include <stdlib.h>

__attribute__((visibility("default"))) void *fi_prov_ini(void);

void *fi_prov_ini(void) { abort(); }
