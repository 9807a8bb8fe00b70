// The two functions of LZ4 that Verilator's writer of FST waveforms calls, so that no machine needs
// the library or its header. What they write is a block of the LZ4 format, which every decoder reads.

#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace lz4_block {

constexpr int kShortestMatch = 4;
constexpr int kLongestDistance = 65535;
// The format ends with literals: the last match starts 12 bytes before the end, or earlier.
constexpr int kLastMatch = 12;
constexpr int kLastLiterals = 5;
constexpr int kHashBits = 12;

inline uint32_t read_4(const uint8_t* bytes) {
    uint32_t value;
    std::memcpy(&value, bytes, sizeof value);
    return value;
}

// A length beyond the 15 that fit a token: bytes of 255, and the rest.
inline uint8_t* put_length(uint8_t* out, int length) {
    for (length -= 15; length >= 255; length -= 255) *out++ = 255;
    *out++ = static_cast<uint8_t>(length);
    return out;
}

// Literals, and the match that follows them; a match of length 0 for the last sequence.
inline uint8_t* put_sequence(uint8_t* out, const uint8_t* literals, int count, int match,
                             int distance) {
    const int extra = match ? match - kShortestMatch : 0;
    *out++ = static_cast<uint8_t>((count < 15 ? count : 15) << 4 | (extra < 15 ? extra : 15));
    if (count >= 15) out = put_length(out, count);
    std::memcpy(out, literals, static_cast<size_t>(count));
    out += count;
    if (!match) return out;
    *out++ = static_cast<uint8_t>(distance & 255);
    *out++ = static_cast<uint8_t>(distance >> 8);
    return extra >= 15 ? put_length(out, extra) : out;
}

}  // namespace lz4_block

inline int LZ4_compressBound(int size) { return size + size / 255 + 16; }

// Compresses `size` bytes to at most `LZ4_compressBound(size)`; returns their number.
inline int LZ4_compress_default(const char* source, char* target, int size, int) {
    using namespace lz4_block;
    const auto* in = reinterpret_cast<const uint8_t*>(source);
    auto* const start = reinterpret_cast<uint8_t*>(target);
    auto* out = start;
    std::vector<int> latest(size_t{1} << kHashBits, -1);
    int literals = 0;
    for (int at = 0; at + kLastMatch <= size;) {
        int& place = latest[read_4(in + at) * 2654435761U >> (32 - kHashBits)];
        const int found = place;
        place = at;
        if (found < 0 || at - found > kLongestDistance || read_4(in + found) != read_4(in + at)) {
            ++at;
            continue;
        }
        int length = kShortestMatch;
        while (at + length < size - kLastLiterals && in[found + length] == in[at + length]) ++length;
        out = put_sequence(out, in + literals, at - literals, length, at - found);
        at += length;
        literals = at;
    }
    out = put_sequence(out, in + literals, size - literals, 0, 0);
    return static_cast<int>(out - start);
}
