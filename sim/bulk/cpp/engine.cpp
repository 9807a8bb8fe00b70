// Streams images through a Verilated network, checks the rules of every stream at every clock, and
// writes what each layer put out.
//
// The options, all of which are required (command_line.h):
//
//   --images FILE          frames of kSourceBeats beats of kSourceBytes bytes
//   --first N, --count N   the frames that go in
//   --seed N               of the pauses of source and sink; 0: they never pause
//   --patience N           after N cycles without a transfer the network counts as stuck
//   --reset-cycles N       the network is reset at random, once in N cycles on average; the images
//                          that did not come out go in again; 0: never
//   --wrong-frames N       before one image in N, at random, comes a frame of random beats and of a
//                          wrong length, whose result must have tuser set; 0: none
//   --set-PORT N           the value of each port that is of no stream
//
// On standard output: for each image, in order, a record of
//   - the values of every tap in stream order, each in the fewest of 1, 2, 4 or 8 bytes;
//   - of every beat of the result, m_axis_tdata (kResultBytes bytes), tuser and tlast (1 byte each);
//   - of s_axis, every tap and m_axis, the three FrameCycles (8 bytes each);
// all little-endian, without gaps.
//
// On standard error, the last line: `cycles N resets N wrong_frames N`, what the simulation took,
// or what is wrong. The exit status is 0, 10 (kRuleBroken) or 11 (kFailed).
//
// Built with VM_TRACE it writes the waveform of one image in place of records and counts;
// waveform.h has its options and what it prints.

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "Vtop.h"
#include "command_line.h"
#include "layers.h"
#include "network.h"
#include "random.h"
#include "sink.h"
#include "source.h"
#include "streams.h"
#include "verilated.h"
#include "watchdog.h"
#include "waveform.h"

namespace {

class Simulation {
public:
    explicit Simulation(CommandLine& options)
        : m_count(options.number("count")),
          m_seed(options.number("seed")),
          m_patience(options.number("patience")),
          m_reset_cycles(options.number("reset-cycles")),
          m_source(options.text("images"), options.number("first"), m_count,
                   options.number("wrong-frames"), m_seed ? 2 * m_seed : 0),
          m_sink(m_seed ? 2 * m_seed + 1 : 0),
          m_waveform(options, m_context, m_top) {
        set_ports(m_top, options);
        options.refuse_others();
        for (const Tap& tap : taps) m_layers.emplace_back(tap, m_top);
    }

    // Streams all images, and watches for some cycles that nothing follows them. Throws RuleBroken.
    void run() {
        m_top.aclk = 0;
        m_top.s_axis_tvalid = 0;
        m_top.s_axis_tlast = 0;
        m_top.m_axis_tready = 0;
        reset(4);
        while (m_quiet_cycles < kQuietCycles) {
            if (m_random.once_in(m_reset_cycles) && m_written < m_count) start_again();
            m_source.drive(m_top, m_random);
            m_sink.drive(m_top);
            m_top.aclk = 0;
            m_top.eval();
            m_waveform.before_edge(m_cycle, m_source.image());
            const bool moved = clock_streams();
            if (frame_is_complete()) finish_frame();
            watch_progress(moved);
            m_watchdog.clock(m_cycle);
            m_top.aclk = 1;
            m_top.eval();
            if (m_waveform.after_edge(m_cycle, m_layers, m_written)) break;
            ++m_cycle;
        }
        m_top.final();
    }

    uint64_t cycle() const { return m_cycle; }

    void print_counts() const {
        std::fprintf(stderr, "cycles %llu resets %llu wrong_frames %llu\n",
                     static_cast<unsigned long long>(m_cycle),
                     static_cast<unsigned long long>(m_resets),
                     static_cast<unsigned long long>(m_wrong_frames));
    }

private:
    // Cycles after the last result in which no beat may come.
    static constexpr int kQuietCycles = 64;

    // Holds aresetn low for some cycles, which are not counted.
    void reset(int cycles) {
        m_top.aresetn = 0;
        for (int edge = 0; edge < 2 * cycles; ++edge, m_top.aclk = !m_top.aclk) {
            m_top.eval();
            if (edge > 2 && m_top.m_axis_tvalid)
                throw RuleBroken("m_axis: tvalid is high during reset");
        }
        m_top.aresetn = 1;
    }

    // Resets the network in the midst of what it does, and begins with the first image that has not
    // come out.
    void start_again() {
        reset(2 + m_random.next() % 4);
        ++m_resets;
        for (Layer& layer : m_layers) layer.restart();
        m_sink.restart();
        m_source.restart(m_written);
    }

    // Checks every stream at a rising edge. Returns whether any beat was taken.
    bool clock_streams() {
        bool moved = m_source.clock(m_cycle, m_top);
        for (Layer& layer : m_layers) moved |= layer.clock(m_cycle, m_top);
        moved |= m_sink.clock(m_cycle, m_top);
        return moved;
    }

    // Whether every stream has put out the frame that comes next.
    bool frame_is_complete() const {
        return m_sink.has_result() && m_source.has_sent() &&
               std::all_of(m_layers.begin(), m_layers.end(),
                           [](const Layer& layer) { return layer.has_frame(); });
    }

    // Writes the record of an image, or checks the result of a frame of a wrong length.
    void finish_frame() {
        if (m_source.sent().wrong_length) {
            if (!m_sink.result().user)
                throw RuleBroken("m_axis: a frame of a wrong length has tuser 0");
            ++m_wrong_frames;
        } else {
            if (!kTracing) write_record();
            ++m_written;
        }
        m_source.drop_sent();
        m_sink.drop_result();
        for (Layer& layer : m_layers) layer.drop_frame();
    }

    void write_record() {
        m_record.clear();
        for (const Layer& layer : m_layers) {
            const std::vector<uint8_t>& values = layer.frame().values;
            m_record.insert(m_record.end(), values.begin(), values.end());
        }
        const Sink::Result& result = m_sink.result();
        m_record.insert(m_record.end(), result.beats.begin(), result.beats.end());
        append(m_record, m_source.sent().cycles);
        for (const Layer& layer : m_layers) append(m_record, layer.frame().cycles);
        append(m_record, result.cycles);
        if (std::fwrite(m_record.data(), 1, m_record.size(), stdout) != m_record.size())
            throw Failure("the records cannot be written");
        if ((m_written + 1) % kFlushedRecords == 0) std::fflush(stdout);
    }

    // Throws RuleBroken if the network is stuck, or puts out a beat after its last result.
    void watch_progress(bool moved) {
        if (m_written == m_count && !m_source.more()) {
            if (m_quiet_cycles++ && moved)
                throw RuleBroken("a beat comes that no image asked for");
        } else if (moved) {
            m_idle_cycles = 0;
        } else if (++m_idle_cycles > m_patience) {
            std::string state = "nothing moved for " + std::to_string(m_idle_cycles) +
                                " cycles; " + std::to_string(m_written) + " images were complete";
            for (const Layer& layer : m_layers) state += ", " + layer.state();
            throw RuleBroken(state);
        }
    }

    // The reader of the records gets them in groups, so that it can show progress.
    static constexpr uint64_t kFlushedRecords = 16;

    uint64_t m_count;
    uint64_t m_seed;
    uint64_t m_patience;
    uint64_t m_reset_cycles;
    Random m_random{m_seed + 1};
    Source m_source;
    Sink m_sink;
    Watchdog m_watchdog;
    VerilatedContext m_context;
    Vtop m_top{&m_context};
    Waveform m_waveform;
    std::vector<Layer> m_layers;
    std::vector<uint8_t> m_record;
    uint64_t m_cycle = 0;
    uint64_t m_resets = 0;
    uint64_t m_wrong_frames = 0;
    uint64_t m_written = 0;
    uint64_t m_idle_cycles = 0;
    int m_quiet_cycles = 0;
};

int simulate(CommandLine& options) {
    Simulation simulation(options);
    try {
        simulation.run();
    } catch (const RuleBroken& error) {
        std::fprintf(stderr, "%s (cycle %llu)\n", error.what(),
                     static_cast<unsigned long long>(simulation.cycle()));
        return kRuleBroken;
    }
    if (std::fflush(stdout)) throw Failure("the records cannot be written");
    if (!kTracing) simulation.print_counts();
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    try {
        CommandLine options(argc, argv);
        return simulate(options);
    } catch (const Failure& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return kFailed;
    }
}
