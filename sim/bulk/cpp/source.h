// Drives s_axis with images, and with frames of a wrong length between them.

#pragma once

#include <cstdint>
#include <cstdio>
#include <deque>
#include <string>
#include <vector>

#include "network.h"
#include "random.h"
#include "streams.h"

namespace {

// The beats that go in: images, read from a file as they are needed, and frames of random beats.
class InputFrames {
public:
    // The file holds frames of kSourceBeats beats of kSourceBytes bytes; `count` of them go in,
    // from number `first` on.
    InputFrames(const std::string& path, uint64_t first, uint64_t count)
        : m_first(first), m_count(count), m_frame(kFrameBytes) {
        m_file = std::fopen(path.c_str(), "rb");
        if (!m_file) throw Failure("the images cannot be read");
        rewind(0);
    }

    ~InputFrames() { std::fclose(m_file); }
    InputFrames(const InputFrames&) = delete;
    InputFrames& operator=(const InputFrames&) = delete;

    // Goes back to an image, counted from 0.
    void rewind(uint64_t image) {
        if (std::fseek(m_file, static_cast<long>((m_first + image) * kFrameBytes), SEEK_SET))
            throw Failure("the images cannot be read");
        m_image = image;
        m_position = 0;
        m_random_beats = 0;
    }

    // Puts a frame of random beats before the next image.
    void insert_random(uint64_t beats) { m_random_beats = beats; }

    bool more() const { return is_random() || m_image < m_count; }
    uint64_t image() const { return m_image; }
    bool is_random() const { return m_random_beats != 0; }
    // Whether the next beat is the first of an image.
    bool first() const { return !is_random() && m_position == 0; }
    bool last() const {
        return is_random() ? m_random_beats == 1 : m_position == kSourceBeats - 1;
    }

    // The bytes of the next beat.
    const uint8_t* beat(Random& random) {
        if (is_random()) {
            for (uint8_t& byte : m_noise) byte = static_cast<uint8_t>(random.next());
            return m_noise;
        }
        if (first() && std::fread(m_frame.data(), 1, kFrameBytes, m_file) != kFrameBytes)
            throw Failure("the file of images is too short");
        return m_frame.data() + m_position * kSourceBytes;
    }

    void advance() {
        if (is_random()) {
            --m_random_beats;
        } else if (++m_position == kSourceBeats) {
            m_position = 0;
            ++m_image;
        }
    }

private:
    static constexpr size_t kFrameBytes = kSourceBeats * kSourceBytes;

    std::FILE* m_file;
    uint64_t m_first;
    uint64_t m_count;
    uint64_t m_image = 0;
    size_t m_position = 0;
    uint64_t m_random_beats = 0;
    uint8_t m_noise[kSourceBytes];
    std::vector<uint8_t> m_frame;
};

// The source of s_axis.
class Source {
public:
    // What has gone in and has not come out: an image and its cycles, or a frame of a wrong length.
    struct Sent {
        bool wrong_length;
        FrameCycles cycles;
    };

    // About one image in `wrong_frames` follows a frame of a wrong length; 0: none does.
    Source(const std::string& path, uint64_t first, uint64_t count, uint64_t wrong_frames,
           uint64_t pauses_seed)
        : m_frames(path, first, count), m_wrong_frames(wrong_frames), m_pauses(pauses_seed) {}

    // Sets the inputs of the next cycle.
    void drive(Vtop& top, Random& random) {
        if (!m_offering && m_frames.first() && m_frames.more() && random.once_in(m_wrong_frames)) {
            const uint64_t beats = 1 + random.next() % (3 * kSourceBeats);
            if (beats != kSourceBeats) m_frames.insert_random(beats);
        }
        if (!m_offering && m_frames.more() && !m_pauses.next()) {
            m_offering = true;
            from_bytes(top.s_axis_tdata, m_frames.beat(random), kSourceBytes);
            top.s_axis_tlast = m_frames.last();
        }
        top.s_axis_tvalid = m_offering;
    }

    // Call this at each rising edge. Returns whether a beat is taken; throws RuleBroken.
    bool clock(uint64_t cycle, const Vtop& top) {
        if (!m_offering) return false;
        to_words(top.s_axis_tdata, m_payload);
        const bool wrong = m_frames.is_random();
        const bool taken = wrong ? top.s_axis_tready
                                 : m_monitor.clock(cycle, true, top.s_axis_tready,
                                                   top.s_axis_tlast, m_payload);
        if (!taken) return false;
        if (top.s_axis_tlast) m_sent.push_back({wrong, m_monitor.cycles()});
        m_frames.advance();
        m_offering = false;
        return true;
    }

    // After a reset: starts again with an image, counted from 0.
    void restart(uint64_t image) {
        m_monitor.restart();
        m_frames.rewind(image);
        m_sent.clear();
        m_offering = false;
    }

    bool more() const { return m_frames.more(); }
    // The image that is offered, or that is next.
    uint64_t image() const { return m_frames.image(); }
    bool has_sent() const { return !m_sent.empty(); }
    const Sent& sent() const { return m_sent.front(); }
    void drop_sent() { m_sent.pop_front(); }

private:
    static constexpr size_t kPayloadWords = (kSourceBytes + 3) / 4 + 2;

    InputFrames m_frames;
    uint64_t m_wrong_frames;
    Pauses m_pauses;
    bool m_offering = false;
    uint32_t m_payload[kPayloadWords] = {};
    StreamMonitor m_monitor{"s_axis", kSourceBeats, kPayloadWords};
    std::deque<Sent> m_sent;
};

}  // namespace
