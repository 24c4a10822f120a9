#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the bytes of a file as the initializer of an array: embed.py FILE INC"""
import sys

image = open(sys.argv[1], 'rb').read()
with open(sys.argv[2], 'w', encoding='ascii') as inc:
    for at in range(0, len(image), 32):
        inc.write(','.join(map(str, image[at:at + 32])) + ',\n')
