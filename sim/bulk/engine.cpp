// Streams images through a Verilated network, checks the rules of every stream at every clock, and
// writes what each layer put out.
//
// taps.h, made for the network, has the table `taps`, the beats of a frame that goes in and the
// bytes of each (kSourceBeats, kSourceBytes), the beats of a result (kResultBeats), and `hold`, which
// gives kConstants ports their values.
//
//   simulation IMAGES FIRST COUNT SEED PATIENCE RESETS WRONG CONSTANT... [WAVES IMAGE LAYER BEAT]
//
// IMAGES holds frames of kSourceBeats beats of kSourceBytes bytes; COUNT of them, from FIRST on, go
// in. A SEED other than 0 makes source and sink pause, and keeps the sink from being ready until its
// valid has risen. After PATIENCE cycles without a transfer the network counts as stuck. If RESETS
// is not 0, the network is reset in one of so many cycles, at random; what did not come out is then
// given once more. If WRONG is not 0, one of so many frames is followed by one of random beats and
// of a wrong length, which must come out with tuser set, and is not written. How many there were of
// each is then a line on standard error.
//
// On standard output, for each image in order: every tap's values in stream order, each in the
// fewest of 1, 2, 4 or 8 bytes; then of the last beat of the result m_axis_tdata (8 bytes), tuser
// and tlast (1 byte each); then of s_axis, every tap and m_axis the cycles in which the frame was
// first offered, its first beat taken and its last beat taken (8 bytes each); little-endian.
// A rule broken is one line on standard error and exit status 10.
//
// Built to trace, it writes instead the waveform, from the first beat that is offered of the
// IMAGEth of the COUNT to its result, to the file WAVES; then it ends, with a line on standard
// output: the cycle in which beat BEAT of that image left layer LAYER, by its place in `taps`.

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <string>
#include <vector>

#include "Vtop.h"
#include "verilated.h"
#if VM_TRACE
#include "verilated_vcd_c.h"
#endif

namespace {

constexpr int kBroken = 10;
constexpr int kFailed = 11;
constexpr size_t kMaxAhead = 256;
constexpr int kQuietCycles = 64;
constexpr int kHeldCycles = 16;

void words(uint64_t value, uint32_t* out) {
    out[0] = static_cast<uint32_t>(value);
    out[1] = static_cast<uint32_t>(value >> 32);
}

template <std::size_t N>
void words(const VlWide<N>& value, uint32_t* out) {
    std::memcpy(out, value.data(), sizeof(uint32_t) * N);
}

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

#include "taps.h"

template <typename T>
void load(T& port, const uint8_t* bytes) {
    port = 0;
    std::memcpy(&port, bytes, kSourceBytes);
}

template <std::size_t N>
void load(VlWide<N>& port, const uint8_t* bytes) {
    std::memset(port.data(), 0, sizeof(uint32_t) * N);
    std::memcpy(port.data(), bytes, kSourceBytes);
}

uint64_t cycle = 0;

void close_waves();

[[noreturn]] void broken(const std::string& message) {
    close_waves();
    std::fflush(stdout);
    std::fprintf(stderr, "%s (cycle %llu)\n", message.c_str(),
                 static_cast<unsigned long long>(cycle));
    std::exit(kBroken);
}

[[noreturn]] void failed(const char* message) {
    std::fprintf(stderr, "%s\n", message);
    std::exit(kFailed);
}

void put(std::vector<uint8_t>& out, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) out.push_back(static_cast<uint8_t>(value >> (8 * i)));
}

// When a frame was first offered, its first beat taken, and its last.
struct Cycles {
    uint64_t offered;
    uint64_t first;
    uint64_t last;
};

void put(std::vector<uint8_t>& out, const Cycles& cycles) {
    put(out, cycles.offered, 8);
    put(out, cycles.first, 8);
    put(out, cycles.last, 8);
}

// A stream that is watched: the payload offered and not yet taken, and the beats of its frame.
class Watched {
public:
    Watched(std::string name, uint32_t frame_beats, size_t data_words)
        : m_name(std::move(name)), m_frame_beats(frame_beats), m_offered(data_words) {}

    // Called at each rising edge; whether a beat is taken.
    bool clock(bool valid, bool ready, bool last, const uint32_t* data) {
        if (m_waiting) {
            if (!valid) broken(m_name + ": valid was dropped before the beat was taken");
            if (last != m_last || std::memcmp(data, m_offered.data(), size()))
                broken(m_name + ": the payload changed before it was taken");
        } else if (valid && !m_beats) {
            m_cycles.offered = cycle;
        }
        m_waiting = valid && !ready;
        if (m_waiting) {
            m_last = last;
            std::memcpy(m_offered.data(), data, size());
        }
        if (!valid || !ready) return false;
        if (!m_beats) m_cycles.first = cycle;
        ++m_beats;
        m_complete = m_beats == m_frame_beats;
        if (last != m_complete)
            broken(m_name + ": last is " + (last ? "set" : "missing") + " on beat " +
                   std::to_string(m_beats) + " of " + std::to_string(m_frame_beats) +
                   " of a frame");
        if (m_complete) {
            m_cycles.last = cycle;
            m_beats = 0;
        }
        return true;
    }

    // After a reset.
    void restart() {
        m_waiting = false;
        m_beats = 0;
    }

    // Whether nothing is offered as far as is known: until that changes, there is nothing to see.
    bool idle() const { return !m_waiting; }
    bool complete() const { return m_complete; }
    uint32_t beats() const { return m_beats; }
    // Of the frame that is complete.
    const Cycles& cycles() const { return m_cycles; }
    const std::string& name() const { return m_name; }

private:
    size_t size() const { return m_offered.size() * sizeof(uint32_t); }

    std::string m_name;
    uint32_t m_frame_beats;
    std::vector<uint32_t> m_offered;
    uint32_t m_beats = 0;
    Cycles m_cycles{};
    bool m_waiting = false;
    bool m_last = false;
    bool m_complete = false;
};

class Random {
public:
    explicit Random(uint64_t seed) : m_state(seed * 0x9E3779B97F4A7C15u | 1) {}

    uint32_t next() {
        m_state ^= m_state << 13;
        m_state ^= m_state >> 7;
        m_state ^= m_state << 17;
        return static_cast<uint32_t>(m_state >> 33);
    }

    bool once_in(uint64_t many) { return many && next() % many == 0; }

private:
    uint64_t m_state;
};

// Pauses in 1/8, 1/2 or 7/8 of the cycles, and changes that from time to time.
class Pauses {
public:
    explicit Pauses(uint64_t seed) : m_on(seed != 0), m_random(seed) {}

    bool next() {
        if (!m_on) return false;
        if (!m_left) {
            static const uint32_t shares[] = {1, 4, 7};
            m_share = shares[m_random.next() % 3];
            m_left = 1 + m_random.next() % 47;
        }
        --m_left;
        return m_random.next() % 8 < m_share;
    }

private:
    bool m_on;
    Random m_random;
    uint32_t m_share = 0;
    uint32_t m_left = 0;
};

struct Frame {
    std::vector<uint8_t> values;
    Cycles cycles;
};

struct Layer {
    const Tap& tap;
    const CData* valid;
    const CData* ready;
    const CData* last;
    Watched watched;
    std::vector<uint32_t> data;
    std::vector<uint8_t> values;
    std::deque<Frame> frames;
    uint64_t taken = 0;

    Layer(const Tap& t, const Vtop& top)
        : tap(t),
          valid(t.valid(top)),
          ready(t.ready(top)),
          last(t.last(top)),
          watched(t.name, t.frame_beats, data_words(t)),
          data(data_words(t) + 2) {}

    static size_t data_words(const Tap& t) { return (t.lanes * t.bits + 31) / 32; }

    bool clock(const Vtop& top) {
        if (!*valid && watched.idle()) return false;
        if (*valid) tap.data(top, data.data());
        if (!watched.clock(*valid, *ready, *valid && *last, data.data())) return false;
        ++taken;
        for (int lane = 0; lane < tap.lanes; ++lane) put(values, value(lane), tap.value_bytes);
        if (watched.complete()) {
            frames.push_back({std::move(values), watched.cycles()});
            values.clear();
            if (frames.size() > kMaxAhead) broken(watched.name() + ": frames come without end");
        }
        return true;
    }

    void restart() {
        watched.restart();
        values.clear();
        frames.clear();
    }

    uint64_t value(int lane) const {
        const int start = lane * tap.bits;
        const uint32_t* word = data.data() + start / 32;
        uint64_t value = (word[0] | static_cast<uint64_t>(word[1]) << 32) >> (start % 32);
        if (start % 32 + tap.bits > 64) value |= static_cast<uint64_t>(word[2]) << (64 - start % 32);
        if (tap.bits < 64) {
            const uint64_t mask = (uint64_t{1} << tap.bits) - 1;
            value &= mask;
            if (tap.is_signed && value >> (tap.bits - 1)) value |= ~mask;
        }
        return value;
    }
};

struct Result {
    uint64_t data;
    bool user;
    bool last;
    Cycles cycles;
};

// The frames that go in, read as they are needed.
class Images {
public:
    Images(const char* path, long first, uint64_t count)
        : m_first(first), m_count(count), m_beats(kFrameBytes) {
        m_file = std::fopen(path, "rb");
        if (!m_file) failed("the images cannot be read");
        rewind(0);
    }

    // Give all images again from that one on.
    void rewind(uint64_t number) {
        const long frame = m_first + static_cast<long>(number);
        if (std::fseek(m_file, frame * static_cast<long>(kFrameBytes), SEEK_SET))
            failed("the images cannot be read");
        m_number = number;
        m_position = 0;
        m_wrong = false;
    }

    // Before the next image, give a frame of that many random beats.
    void insert(uint64_t beats) {
        m_wrong = true;
        m_left = beats;
    }

    bool more() const { return m_wrong || m_number < m_count; }
    uint64_t number() const { return m_number; }
    bool wrong() const { return m_wrong; }
    bool first() const { return !m_wrong && m_position == 0; }
    bool last() const { return m_wrong ? m_left == 1 : m_position == kSourceBeats - 1; }

    const uint8_t* beat(Random& random) {
        if (m_wrong) {
            for (uint8_t& byte : m_noise) byte = static_cast<uint8_t>(random.next());
            return m_noise;
        }
        if (first() && std::fread(m_beats.data(), 1, kFrameBytes, m_file) != kFrameBytes)
            failed("the images end too early");
        return m_beats.data() + m_position * kSourceBytes;
    }

    void advance() {
        if (m_wrong) {
            m_wrong = --m_left;
        } else if (++m_position == kSourceBeats) {
            m_position = 0;
            ++m_number;
        }
    }

private:
    static constexpr size_t kFrameBytes = kSourceBeats * kSourceBytes;

    std::FILE* m_file;
    long m_first;
    uint64_t m_count;
    uint64_t m_number = 0;
    size_t m_position = 0;
    bool m_wrong = false;
    uint64_t m_left = 0;
    uint8_t m_noise[kSourceBytes];
    std::vector<uint8_t> m_beats;
};

#if VM_TRACE
// A file that ends the program when the disk is full, where Verilator's would wait for itself.
class WavesFile : public VerilatedVcdFile {
public:
    ssize_t write(const char* bytes, ssize_t size) override {
        const ssize_t written = VerilatedVcdFile::write(bytes, size);
        if (written < 0 && errno != EAGAIN && errno != EINTR) {
            std::fprintf(stderr, "%s\n", std::strerror(errno));
            std::_Exit(kFailed);
        }
        return written;
    }
};

// The waveform of one image, from its first beat offered to its result.
class Waves {
public:
    Waves(VerilatedContext& context, Vtop& top, char** arguments)
        : m_image(std::strtoull(arguments[1], nullptr, 10)),
          m_layer(std::strtoull(arguments[2], nullptr, 10)),
          m_beat(std::strtoull(arguments[3], nullptr, 10)) {
        context.traceEverOn(true);
        top.trace(&m_file, 99);
        m_file.open(arguments[0]);
        if (!m_file.isOpen()) failed(std::strerror(errno));
        open = this;
    }

    ~Waves() { open = nullptr; }

    // Called before each rising edge, with the number of the image that is offered.
    void low(uint64_t offered) {
        m_on |= offered == m_image;
        if (m_on) m_file.dump(10 * cycle);
    }

    // Called after each rising edge, with the number of results; whether all was seen.
    bool high(const std::vector<Layer>& layers, uint64_t results) {
        const Layer& layer = layers[m_layer];
        const uint64_t beat = m_image * layer.tap.frame_beats + m_beat;
        if (!m_marked && layer.taken > beat) {
            m_marked = true;
            m_mark = cycle;
        }
        if (m_on) m_file.dump(10 * cycle + 5);
        return results > m_image;
    }

    void close() {
        m_file.close();
        std::printf("%llu\n", static_cast<unsigned long long>(m_mark));
        std::fflush(stdout);
    }

    static Waves* open;
    static constexpr bool instead = true;

private:
    WavesFile m_disk;
    VerilatedVcdC m_file{&m_disk};
    uint64_t m_image, m_layer, m_beat;
    uint64_t m_mark = 0;
    bool m_marked = false;
    bool m_on = false;
};

Waves* Waves::open = nullptr;

void close_waves() {
    if (Waves::open) Waves::open->close();
}
#else
// No waveform.
struct Waves {
    static constexpr bool instead = false;
    Waves(VerilatedContext&, Vtop&, char**) {}
    void low(uint64_t) {}
    bool high(const std::vector<Layer>&, uint64_t) { return false; }
};

void close_waves() {}
#endif

}  // namespace

int main(int argc, char** argv) {
    if (argc != 8 + kConstants + (VM_TRACE ? 4 : 0)) failed("these are not the arguments");
    const uint64_t count = std::strtoull(argv[3], nullptr, 10);
    const uint64_t seed = std::strtoull(argv[4], nullptr, 10);
    const uint64_t patience = std::strtoull(argv[5], nullptr, 10);
    const uint64_t reset_cycles = std::strtoull(argv[6], nullptr, 10);
    const uint64_t wrong_frames = std::strtoull(argv[7], nullptr, 10);
    Random random(seed + 1);
    Images images(argv[1], std::strtol(argv[2], nullptr, 10), count);
    Pauses source_pauses(seed ? 2 * seed : 0), sink_pauses(seed ? 2 * seed + 1 : 0);

    VerilatedContext context;
    Vtop top(&context);
    Waves waves(context, top, argv + 8 + kConstants);
    std::vector<Layer> layers;
    for (const Tap& tap : taps) layers.emplace_back(tap, top);
    std::vector<uint32_t> beat((kSourceBytes + 3) / 4 + 2);
    Watched source("s_axis", kSourceBeats, beat.size()), sink("m_axis", kResultBeats, 3);
    std::deque<bool> wrong_in;
    std::deque<Cycles> images_in;
    std::deque<Result> results;
    std::vector<uint8_t> record;

    hold(top, argv + 8);
    top.aclk = 0;
    top.aresetn = 0;
    top.s_axis_tvalid = 0;
    top.s_axis_tlast = 0;
    top.m_axis_tready = 0;
    const auto reset = [&](int cycles) {
        top.aresetn = 0;
        for (int i = 0; i < 2 * cycles; ++i, top.aclk = !top.aclk) {
            top.eval();
            if (i > 2 && top.m_axis_tvalid) broken("m_axis: tvalid is high during reset");
        }
        top.aresetn = 1;
    };
    reset(4);

    bool offering = false;
    uint64_t resets = 0;
    uint64_t wrong_ones = 0;
    int held = seed ? kHeldCycles : 0;
    uint64_t written = 0;
    uint64_t idle = 0;
    int quiet = 0;
    while (quiet < kQuietCycles) {
        if (random.once_in(reset_cycles) && written < count) {
            reset(2 + random.next() % 4);
            ++resets;
            source.restart();
            for (Layer& layer : layers) layer.restart();
            sink.restart();
            images.rewind(written);
            wrong_in.clear();
            images_in.clear();
            results.clear();
            offering = false;
        }
        if (!offering && images.first() && images.more() && random.once_in(wrong_frames)) {
            // Too short, or too long, as it is where the end of one is missing.
            const uint64_t beats = 1 + random.next() % (3 * kSourceBeats);
            if (beats != kSourceBeats) images.insert(beats);
        }
        if (!offering && images.more() && !source_pauses.next()) {
            offering = true;
            load(top.s_axis_tdata, images.beat(random));
            top.s_axis_tlast = images.last();
        }
        top.s_axis_tvalid = offering;
        top.m_axis_tready = !held && !sink_pauses.next();
        top.aclk = 0;
        top.eval();
        waves.low(images.number());

        bool moved = false;
        words(top.s_axis_tdata, beat.data());
        const bool wrong = images.wrong();
        const bool went_in = wrong ? offering && top.s_axis_tready
                                   : source.clock(offering, top.s_axis_tready, top.s_axis_tlast,
                                                  beat.data());
        if (went_in) {
            if (!wrong && source.complete()) images_in.push_back(source.cycles());
            if (top.s_axis_tlast) wrong_in.push_back(wrong);
            images.advance();
            offering = false;
            moved = true;
        }
        for (Layer& layer : layers) moved |= layer.clock(top);
        if (top.m_axis_tvalid && held) --held;
        uint32_t payload[3];
        words(top.m_axis_tdata, payload);
        payload[2] = top.m_axis_tuser;
        if (sink.clock(top.m_axis_tvalid, top.m_axis_tready, top.m_axis_tlast, payload)) {
            moved = true;
            if (sink.complete())
                results.push_back({top.m_axis_tdata, top.m_axis_tuser != 0,
                                   top.m_axis_tlast != 0, sink.cycles()});
        }

        const bool complete =
            !results.empty() && !wrong_in.empty() &&
            std::all_of(layers.begin(), layers.end(),
                        [](const Layer& layer) { return !layer.frames.empty(); });
        if (complete && wrong_in.front()) {
            if (!results.front().user) broken("m_axis: a frame of a wrong length has tuser 0");
            wrong_in.pop_front();
            results.pop_front();
            for (Layer& layer : layers) layer.frames.pop_front();
            ++wrong_ones;
        } else if (complete) {
            wrong_in.pop_front();
            record.clear();
            for (const Layer& layer : layers) {
                const std::vector<uint8_t>& values = layer.frames.front().values;
                record.insert(record.end(), values.begin(), values.end());
            }
            const Result& result = results.front();
            put(record, result.data, 8);
            put(record, result.user, 1);
            put(record, result.last, 1);
            put(record, images_in.front());
            for (Layer& layer : layers) {
                put(record, layer.frames.front().cycles);
                layer.frames.pop_front();
            }
            put(record, result.cycles);
            results.pop_front();
            images_in.pop_front();
            if (Waves::instead) record.clear();
            if (std::fwrite(record.data(), 1, record.size(), stdout) != record.size())
                failed("nobody reads the results");
            if (++written % 16 == 0) std::fflush(stdout);
        }

        if (written == count && !images.more()) {
            if (quiet++ && moved) broken("a beat comes that no image asked for");
        } else if (moved) {
            idle = 0;
        } else if (++idle > patience) {
            std::string state = "nothing moved for " + std::to_string(idle) + " cycles; " +
                                std::to_string(written) + " images were complete";
            for (const Layer& layer : layers)
                state += ", " + layer.watched.name() + " had " +
                         std::to_string(layer.frames.size()) + " frames and " +
                         std::to_string(layer.watched.beats()) + " beats more";
            broken(state);
        }

        top.aclk = 1;
        top.eval();
        if (waves.high(layers, written)) break;
        ++cycle;
    }
    close_waves();
    if (reset_cycles || wrong_frames)
        std::fprintf(stderr, "%llu cycles, %llu resets, %llu frames of a wrong length\n",
                     static_cast<unsigned long long>(cycle),
                     static_cast<unsigned long long>(resets),
                     static_cast<unsigned long long>(wrong_ones));
    top.final();
    if (std::fflush(stdout)) failed("nobody reads the results");
    return 0;
}
