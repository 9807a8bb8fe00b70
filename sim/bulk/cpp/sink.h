// Takes the results from m_axis.

#pragma once

#include <cstdint>
#include <deque>
#include <utility>
#include <vector>

#include "network.h"
#include "random.h"
#include "streams.h"

namespace {

// The sink of m_axis.
class Sink {
public:
    // The beats of a result as a record has them, and tuser of the last of them.
    struct Result {
        std::vector<uint8_t> beats;
        bool user;
        FrameCycles cycles;
    };

    // With a seed other than 0 the sink pauses, and is not ready before valid has been high for
    // some cycles: valid must not wait for ready.
    explicit Sink(uint64_t pauses_seed)
        : m_pauses(pauses_seed), m_held_cycles(pauses_seed ? kHeldCycles : 0) {}

    // Sets the inputs of the next cycle.
    void drive(Vtop& top) { top.m_axis_tready = !m_held_cycles && !m_pauses.next(); }

    // Call this at each rising edge. Returns whether a beat is taken; throws RuleBroken.
    bool clock(uint64_t cycle, const Vtop& top) {
        if (!top.m_axis_tvalid && m_monitor.idle()) return false;
        if (top.m_axis_tvalid && m_held_cycles) --m_held_cycles;
        uint32_t payload[kDataWords + 1];
        to_words(top.m_axis_tdata, payload);
        payload[kDataWords] = top.m_axis_tuser;
        if (!m_monitor.clock(cycle, top.m_axis_tvalid, top.m_axis_tready, top.m_axis_tlast,
                             payload))
            return false;
        for (size_t byte = 0; byte < kResultBytes; ++byte)
            append(m_beats, payload[byte / 4] >> 8 * (byte % 4), 1);
        append(m_beats, top.m_axis_tuser, 1);
        append(m_beats, top.m_axis_tlast, 1);
        m_user = top.m_axis_tuser != 0;
        if (m_monitor.complete()) {
            m_results.push_back({std::move(m_beats), m_user, m_monitor.cycles()});
            begin();
        }
        return true;
    }

    void restart() {
        m_monitor.restart();
        m_results.clear();
        begin();
    }

    bool has_result() const { return !m_results.empty(); }
    const Result& result() const { return m_results.front(); }
    void drop_result() { m_results.pop_front(); }

private:
    static constexpr int kHeldCycles = 16;
    // `to_words` writes two words at least.
    static constexpr size_t kDataWords = kResultBytes > 8 ? (kResultBytes + 3) / 4 : 2;

    void begin() {
        m_beats.clear();
        m_user = true;
    }

    Pauses m_pauses;
    int m_held_cycles;
    StreamMonitor m_monitor{"m_axis", kResultBeats, kDataWords + 1};
    std::vector<uint8_t> m_beats;
    bool m_user = true;
    std::deque<Result> m_results;
};

}  // namespace
