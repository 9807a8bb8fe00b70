// The two functions of zlib that Verilator's writer of FST waveforms calls, so that no machine needs
// the library's header. They do not compress: the writer stores what does not become smaller as it
// is, which the format allows. Only the small parts of a waveform would be compressed by zlib; its
// values are compressed by `lz4.h`.

#pragma once

using Bytef = unsigned char;
using uLong = unsigned long;
using uLongf = uLong;

constexpr int Z_OK = 0;

inline uLong compressBound(uLong size) { return size + 1; }

// Leaves `target` as it is, and gives it a size that is larger than that of the source.
inline int compress2(Bytef*, uLongf* target_size, const Bytef*, uLong size, int) {
    *target_size = size + 1;
    return Z_OK;
}
