// Random numbers, and the random pauses of a source or a sink.

#pragma once

#include <cstdint>

namespace {

// Xorshift: the same seed gives the same numbers on every machine.
class Random {
public:
    explicit Random(uint64_t seed) : m_state(seed * 0x9E3779B97F4A7C15u | 1) {}

    uint32_t next() {
        m_state ^= m_state << 13;
        m_state ^= m_state >> 7;
        m_state ^= m_state << 17;
        return static_cast<uint32_t>(m_state >> 33);
    }

    // True once in `period` calls on average; never if it is 0.
    bool once_in(uint64_t period) { return period && next() % period == 0; }

private:
    uint64_t m_state;
};

// Pauses in 1/8, 1/2 or 7/8 of the cycles; the share changes from time to time, so that buffers
// run empty and full. A seed of 0: never.
class Pauses {
public:
    explicit Pauses(uint64_t seed) : m_enabled(seed != 0), m_random(seed) {}

    // Whether to pause in the next cycle.
    bool next() {
        if (!m_enabled) return false;
        if (!m_remaining) {
            static const uint32_t shares[] = {1, 4, 7};
            m_share = shares[m_random.next() % 3];
            m_remaining = 1 + m_random.next() % 47;
        }
        --m_remaining;
        return m_random.next() % 8 < m_share;
    }

private:
    bool m_enabled;
    Random m_random;
    uint32_t m_share = 0;
    uint32_t m_remaining = 0;
};

}  // namespace
