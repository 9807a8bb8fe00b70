// Collects what each layer puts out, by the taps of the network.

#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "Vtop.h"
#include "streams.h"

namespace {

// The stream behind a layer, and the functions that find its ports in the model.
struct Tap {
    const char* name;
    int lanes;
    int bits;
    bool is_signed;
    int value_bytes;
    uint32_t frame_beats;
    const CData* (*valid)(const Vtop&);
    const CData* (*ready)(const Vtop&);
    const CData* (*last)(const Vtop&);
    void (*data)(const Vtop&, uint32_t*);
};

// A layer's output for one frame: its values in stream order, as a record has them.
struct LayerFrame {
    std::vector<uint8_t> values;
    FrameCycles cycles;
};

// The monitor of a layer's stream, and the frames that were completed and not yet written.
class Layer {
public:
    Layer(const Tap& tap, const Vtop& top)
        : m_tap(tap),
          m_valid(tap.valid(top)),
          m_ready(tap.ready(top)),
          m_last(tap.last(top)),
          m_monitor(tap.name, tap.frame_beats, payload_words(tap)),
          m_payload(payload_words(tap) + 2) {}

    // Call this at each rising edge. Returns whether a beat is taken; throws RuleBroken.
    bool clock(uint64_t cycle, const Vtop& top) {
        if (!*m_valid && m_monitor.idle()) return false;
        if (*m_valid) m_tap.data(top, m_payload.data());
        if (!m_monitor.clock(cycle, *m_valid, *m_ready, *m_valid && *m_last, m_payload.data()))
            return false;
        ++m_taken;
        for (int lane = 0; lane < m_tap.lanes; ++lane)
            append(m_values, value(lane), m_tap.value_bytes);
        if (m_monitor.complete()) {
            m_frames.push_back({std::move(m_values), m_monitor.cycles()});
            m_values.clear();
            if (m_frames.size() > kMaxFrames)
                throw RuleBroken(m_monitor.name() + ": frames come out that nobody asked for");
        }
        return true;
    }

    void restart() {
        m_monitor.restart();
        m_values.clear();
        m_frames.clear();
    }

    // Beats taken since the start of the simulation.
    uint64_t taken() const { return m_taken; }
    uint32_t frame_beats() const { return m_tap.frame_beats; }
    bool has_frame() const { return !m_frames.empty(); }
    const LayerFrame& frame() const { return m_frames.front(); }
    void drop_frame() { m_frames.pop_front(); }

    // What is there of later frames, for the message about a network that is stuck.
    std::string state() const {
        return m_monitor.name() + " had " + std::to_string(m_frames.size()) + " frames and " +
               std::to_string(m_monitor.beats()) + " beats more";
    }

private:
    // More than a network can hold between a layer and its result.
    static constexpr size_t kMaxFrames = 256;

    static size_t payload_words(const Tap& tap) { return (tap.lanes * tap.bits + 31) / 32; }

    // A value of the beat, sign-extended.
    uint64_t value(int lane) const {
        const int start = lane * m_tap.bits;
        const int shift = start % 32;
        const uint32_t* word = m_payload.data() + start / 32;
        uint64_t value = (word[0] | static_cast<uint64_t>(word[1]) << 32) >> shift;
        if (shift + m_tap.bits > 64) value |= static_cast<uint64_t>(word[2]) << (64 - shift);
        if (m_tap.bits < 64) {
            const uint64_t mask = (uint64_t{1} << m_tap.bits) - 1;
            value &= mask;
            if (m_tap.is_signed && value >> (m_tap.bits - 1)) value |= ~mask;
        }
        return value;
    }

    const Tap& m_tap;
    const CData* m_valid;
    const CData* m_ready;
    const CData* m_last;
    StreamMonitor m_monitor;
    std::vector<uint32_t> m_payload;
    std::vector<uint8_t> m_values;
    std::deque<LayerFrame> m_frames;
    uint64_t m_taken = 0;
};

}  // namespace
