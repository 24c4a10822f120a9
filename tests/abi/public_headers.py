# SPDX-License-Identifier: Apache-2.0
"""Reads the public headers: which functions and structs they declare."""
import re


def declarations(text):
    """The text without comments and preprocessor lines."""
    text = re.sub(r'/\*.*?\*/', ' ', text, flags=re.S)
    return re.sub(r'^[ \t]*#(?:[^\n]*\\\n)*[^\n]*', '', text, flags=re.M)


def sources(include):
    return {path.name: declarations(path.read_text()) for path in sorted((include / 'pirn').glob('*.h'))}


def functions(include):
    """Names of all functions; each declaration must carry PIRN_API."""
    found = set()
    for text in sources(include).values():
        found.update(re.findall(r'\bPIRN_API\b[^;(]*?\b(pirn_\w+)\s*\(', text))
    return found


def unmarked_functions(include):
    """Declarations at file scope that lack PIRN_API."""
    found = set()
    for text in sources(include).values():
        text = re.sub(r'extern "C" \{', '', text)
        text = re.sub(r'\{[^{}]*\}', '', text)
        for declaration in text.split(';'):
            match = re.search(r'\b(pirn_\w+)\s*\(', declaration)
            if match and 'PIRN_API' not in declaration and 'typedef' not in declaration:
                found.add(match.group(1))
    return found


def structs(include):
    """Name -> list of field declarations of every struct with a body."""
    found = {}
    for text in sources(include).values():
        for body, name in re.findall(r'typedef struct \w+\s*\{(.*?)\}\s*(\w+)\s*;', text, flags=re.S):
            found[name] = [' '.join(field.split()) for field in body.split(';') if field.strip()]
    return found
