// Takes the results from m_axis.

#pragma once

#include <cstdint>
#include <deque>

#include "network.h"
#include "random.h"
#include "streams.h"

namespace {

// The sink of m_axis.
class Sink {
public:
    // The last beat of a result.
    struct Result {
        uint64_t data;
        bool user;
        bool last;
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
        uint32_t payload[3];
        to_words(top.m_axis_tdata, payload);
        payload[2] = top.m_axis_tuser;
        if (!m_monitor.clock(cycle, top.m_axis_tvalid, top.m_axis_tready, top.m_axis_tlast,
                             payload))
            return false;
        if (m_monitor.complete())
            m_results.push_back({top.m_axis_tdata, top.m_axis_tuser != 0, top.m_axis_tlast != 0,
                                 m_monitor.cycles()});
        return true;
    }

    void restart() {
        m_monitor.restart();
        m_results.clear();
    }

    bool has_result() const { return !m_results.empty(); }
    const Result& result() const { return m_results.front(); }
    void drop_result() { m_results.pop_front(); }

private:
    static constexpr int kHeldCycles = 16;

    Pauses m_pauses;
    int m_held_cycles;
    StreamMonitor m_monitor{"m_axis", kResultBeats, 3};
    std::deque<Result> m_results;
};

}  // namespace
