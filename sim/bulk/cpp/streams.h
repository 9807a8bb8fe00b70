// Checks the rules of one stream at every clock, and notes the cycles of its frames.

#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "command_line.h"
#include "verilated.h"

namespace {

// The 32-bit words of a port of at most 64 bits, the lowest first; `out` has place for two.
inline void to_words(uint64_t value, uint32_t* out) {
    out[0] = static_cast<uint32_t>(value);
    out[1] = static_cast<uint32_t>(value >> 32);
}

// The 32-bit words of a wider port.
template <std::size_t N>
void to_words(const VlWide<N>& value, uint32_t* out) {
    std::memcpy(out, value.data(), sizeof(uint32_t) * N);
}

// Sets a port of at most 64 bits from little-endian bytes.
template <typename T>
void from_bytes(T& port, const uint8_t* bytes, size_t count) {
    port = 0;
    std::memcpy(&port, bytes, count);
}

// Sets a wider port.
template <std::size_t N>
void from_bytes(VlWide<N>& port, const uint8_t* bytes, size_t count) {
    std::memset(port.data(), 0, sizeof(uint32_t) * N);
    std::memcpy(port.data(), bytes, count);
}

// Appends the lowest bytes of a value to a record, little-endian.
inline void append(std::vector<uint8_t>& record, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) record.push_back(static_cast<uint8_t>(value >> (8 * i)));
}

// The cycles in which a frame's first beat was first offered and was taken, and in which its last
// beat was taken.
struct FrameCycles {
    uint64_t offered;
    uint64_t first;
    uint64_t last;
};

inline void append(std::vector<uint8_t>& record, const FrameCycles& cycles) {
    append(record, cycles.offered, 8);
    append(record, cycles.first, 8);
    append(record, cycles.last, 8);
}

// The rules: a payload that is offered stays, unchanged and valid, until it is taken; `last` is on
// the final beat of each frame and on no other.
class StreamMonitor {
public:
    // `payload_words` 32-bit words of a beat are compared.
    StreamMonitor(std::string name, uint32_t frame_beats, size_t payload_words)
        : m_name(std::move(name)), m_frame_beats(frame_beats), m_offered(payload_words) {}

    // Call this at each rising edge, before the edge changes anything. Returns whether a beat is
    // taken; throws RuleBroken.
    bool clock(uint64_t cycle, bool valid, bool ready, bool last, const uint32_t* payload) {
        if (m_waiting) {
            if (!valid) throw RuleBroken(m_name + ": valid was dropped before the beat was taken");
            if (last != m_last || std::memcmp(payload, m_offered.data(), payload_bytes()))
                throw RuleBroken(m_name + ": the payload changed before it was taken");
        } else if (valid && !m_beats) {
            m_cycles.offered = cycle;
        }
        m_waiting = valid && !ready;
        if (m_waiting) {
            m_last = last;
            std::memcpy(m_offered.data(), payload, payload_bytes());
        }
        if (!valid || !ready) return false;
        if (!m_beats) m_cycles.first = cycle;
        ++m_beats;
        m_complete = m_beats == m_frame_beats;
        if (last != m_complete)
            throw RuleBroken(m_name + ": last is " + (last ? "set" : "missing") + " on beat " +
                             std::to_string(m_beats) + " of " + std::to_string(m_frame_beats) +
                             " of a frame");
        if (m_complete) {
            m_cycles.last = cycle;
            m_beats = 0;
        }
        return true;
    }

    // Forgets the frame under way, as a reset does.
    void restart() {
        m_waiting = false;
        m_beats = 0;
    }

    // Whether no beat was waiting at the last edge: while valid stays low, there is nothing to do.
    bool idle() const { return !m_waiting; }
    // Whether the beat that was taken last ended a frame.
    bool complete() const { return m_complete; }
    // Beats taken of the frame under way.
    uint32_t beats() const { return m_beats; }
    // The cycles of the frame that was completed last.
    const FrameCycles& cycles() const { return m_cycles; }
    const std::string& name() const { return m_name; }

private:
    size_t payload_bytes() const { return m_offered.size() * sizeof(uint32_t); }

    std::string m_name;
    uint32_t m_frame_beats;
    std::vector<uint32_t> m_offered;
    uint32_t m_beats = 0;
    FrameCycles m_cycles{};
    bool m_waiting = false;
    bool m_last = false;
    bool m_complete = false;
};

}  // namespace
