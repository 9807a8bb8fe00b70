// Test bench of {{ top }}, the accelerator of the network {{ network }}.
// Quantized network: sha256 {{ sha256 }}
//
// It sends images in and compares every beat of every layer's stream, and every result, with the
// values of the exact fixed-point model in the .hex files, which have a line for each beat, and comments.
// Images: {{ source }}.
//
// Plain Verilog-2005, for any simulator; only $fatal, for the exit status, is of SystemVerilog.
// `make` runs it; without make, see {{ stem }}_tb.f. The simulator runs in this folder.
//
//   +images=N   the first N images; {{ images }} by default
//   +seed=N     stalls at both ports, from this seed; none by default
//
// It prints PASS and ends with $finish, or prints FAIL, with the first wrong layer, value and
// place, and ends with $fatal.

/* verilator lint_off DECLFILENAME */
module {{ top }}_tb;
  localparam IMAGES = {{ images }};
  localparam PIXELS = {{ input_beats }};{{ "  // of an image: beats of %d values" % input.lanes if input.lanes > 1 }}
  localparam INTERVAL = {{ interval }};  // cycles from one result to the next, by the data sheet
  localparam LATENCY = {{ latency }};  // cycles from the first pixel to the first result
  localparam BEATS = {{ result.beats }};  // of a result
  localparam STREAMS = {{ streams | length }};  // the input and every layer

  // A hang: no stream moves for so many cycles.
  localparam QUIET = 2 * (INTERVAL + LATENCY) + 1000;

  reg aclk, aresetn;
  reg [{{ input.tdata_bits - 1 }}:0] s_axis_tdata;
  reg s_axis_tvalid, s_axis_tlast;
  wire s_axis_tready;
  wire [{{ result.bits - 1 }}:0] m_axis_tdata;
  wire m_axis_tuser, m_axis_tvalid, m_axis_tlast;
  reg m_axis_tready;

  {{ top }} dut (
    .aclk(aclk),
    .aresetn(aresetn),
    .s_axis_tdata(s_axis_tdata),
    .s_axis_tvalid(s_axis_tvalid),
    .s_axis_tready(s_axis_tready),
    .s_axis_tlast(s_axis_tlast),
    .m_axis_tdata(m_axis_tdata),
    .m_axis_tuser(m_axis_tuser),
    .m_axis_tvalid(m_axis_tvalid),
    .m_axis_tready(m_axis_tready),
    .m_axis_tlast(m_axis_tlast)
  );

  // Clock, options and reset.

  reg [31:0] images, seed, random;
  reg [2:0] starting;
  reg stalls;

  always #5 aclk = !aclk;

  initial begin
    aclk = 0;
    aresetn = 0;
    starting = 4;
    images = IMAGES;
    stalls = 0;
    random = 1;
    if ($value$plusargs("images=%d", images)) begin
      // What is no number is undefined in some simulators.
      if (^images === 1'bx || images < 1 || images > IMAGES) begin
        $display("FAIL: +images must be from 1 to %0d", IMAGES);
        $fatal(1);
      end
    end
    if ($value$plusargs("seed=%d", seed)) begin
      if (^seed === 1'bx) begin
        $display("FAIL: +seed must be a whole number");
        $fatal(1);
      end
      stalls = 1;
      // Neighbouring seeds are far apart; the generator must not start at 0.
      random = (seed * 32'd2654435769) | 32'd1;
    end
  end

  always @(posedge aclk) begin
    if (starting != 0) starting <= starting - 1;
    aresetn <= starting == 0;
  end

  function [31:0] xorshift(input [31:0] state);
    reg [31:0] a, b;
    begin
      a = state ^ (state << 13);
      b = a ^ (a >> 17);
      xorshift = b ^ (b << 5);
    end
  endfunction

  // The source: full speed; with stalls one of four paces, for 64 cycles at a time.

  reg [{{ input.lanes * input.bits - 1 }}:0] pixels [0:IMAGES*PIXELS-1];
  reg [31:0] cycle, sent, column;
  reg [1:0] pace;
  wire sending = s_axis_tvalid && s_axis_tready;
  wire [31:0] next = sending ? sent + 1 : sent;
  wire [31:0] next_column = !sending ? column : s_axis_tlast ? 0 : column + 1;
  wire often = pace == 1 && random[0];
  wire mostly = pace == 2 && random[2:0] != 0;
  wire almost = pace == 3 && random[5:0] != 0;
  wire pause = stalls && (often || mostly || almost);

  initial $readmemh("images.hex", pixels, 0, IMAGES*PIXELS-1);

  always @(posedge aclk) begin
    random <= xorshift(random);
    if (!aresetn) begin
      s_axis_tvalid <= 0;
      s_axis_tdata <= 0;
      s_axis_tlast <= 0;
      cycle <= 0;
      sent <= 0;
      column <= 0;
      pace <= 0;
    end else begin
      cycle <= cycle + 1;
      if (cycle[5:0] == 0) pace <= random[9:8];
      sent <= next;
      column <= next_column;
      if (sending || !s_axis_tvalid) begin
        s_axis_tvalid <= next < images * PIXELS && !pause;
        if (next < images * PIXELS) begin
{% if input.field_bits > input.bits %}
{% set ignored = "random[%d:0]" % (input.field_bits - input.bits - 1) %}
          // Bits above {{ "the" if input.lanes == 1 else "a" }} value are ignored.
{% if input.lanes == 1 %}
          s_axis_tdata <= {{ "{%s, pixels[next]}" % ignored }};
{% else %}
          s_axis_tdata <= {
{% for lane in range(input.lanes) | reverse %}
            {{ ignored }}, pixels[next][{{ (lane + 1) * input.bits - 1 }}:{{ lane * input.bits }}]{{ "," if not loop.last }}
{% endfor %}
          };
{% endif %}
{% else %}
          s_axis_tdata <= pixels[next];
{% endif %}
          s_axis_tlast <= next_column == PIXELS - 1;
        end
      end
    end
  end

  // The sink: always ready; with stalls closed until the input has stopped, so that every buffer is
  // full once and the first result is offered before the sink is ready, and then ready at random.

  reg [31:0] still, hold, results;  // results: beats that were taken
  reg open;
  wire receiving = m_axis_tvalid && m_axis_tready;

  always @(posedge aclk) begin
    if (!aresetn) begin
      m_axis_tready <= 0;
      still <= 0;
      hold <= 0;
      results <= 0;
      open <= !stalls;
    end else begin
      still <= sending ? 0 : still + 1;
      if (!open && still == INTERVAL + LATENCY) open <= 1;
      if (receiving) results <= results + 1;
      if (!stalls) m_axis_tready <= 1;
{% if result.beats > 1 %}
      else if (receiving && !m_axis_tlast) begin
        m_axis_tready <= random[31];
        hold <= random[30] ? 0 : random & 7;
      end
{% endif %}
      else if (receiving) begin
        m_axis_tready <= 0;
        hold <= random[31] ? 0 : random[30] ? (random & 255) : ((random & 32'h3fffffff) % INTERVAL);
      end else if (hold != 0) hold <= hold - 1;
      else m_axis_tready <= open;
    end
  end

  // The checks; `failed` has the input's stream in its lowest bit and the results in its highest.

  wire [STREAMS:0] failed;
  wire [STREAMS-1:0] moving;
  wire [31:0] taken [0:STREAMS-1];
{% for stream in streams %}

  {{ top }}_tb_stream #(
    .NAME("{{ stream.name }}"),
    .FILE("{{ stream.file }}"),
    .IMAGES(IMAGES),
    .WIDTH({{ stream.width }}),
    .CHANNELS({{ stream.channels }}),
    .BEATS({{ stream.beats }}),
    .LANES({{ stream.lanes }}),
    .BITS({{ stream.bits }}),
    .SIGNED({{ stream.signed }})
  ) check_{{ stream.name }} (
    .aclk(aclk),
    .aresetn(aresetn),
    .images(images),
    .data(dut.stream_{{ stream.name }}_data),
    .last(dut.stream_{{ stream.name }}_last),
    .valid(dut.stream_{{ stream.name }}_valid),
    .ready(dut.stream_{{ stream.name }}_ready),
    .quiet({{ "1'b0" if loop.first else "|failed[%d:0]" % (loop.index0 - 1) }}),
    .failed(failed[{{ loop.index0 }}]),
    .moving(moving[{{ loop.index0 }}]),
    .taken(taken[{{ loop.index0 }}])
  );
{% endfor %}

  reg [{{ result.bits - 1 }}:0] expected [0:IMAGES*BEATS-1];
  reg stalled;
  reg [{{ result.bits + 1 }}:0] offered;
  reg [{{ result.bits - 1 }}:0] wanted, found;
  reg [2:0] fault;
  reg [31:0] image, beat;
  wire [{{ result.bits + 1 }}:0] result = {m_axis_tlast, m_axis_tuser, m_axis_tdata};
  wire last = results % BEATS == BEATS - 1;

  initial $readmemh("results.hex", expected, 0, IMAGES*BEATS-1);
  assign failed[STREAMS] = fault != 0;

  always @(posedge aclk) begin
    image <= results / BEATS;
    beat <= results % BEATS;
    found <= m_axis_tdata;
    offered <= result;
    if (!aresetn) begin
      stalled <= 0;
      fault <= 0;
    end else if (fault == 0) begin
      stalled <= m_axis_tvalid && !m_axis_tready;
      if (m_axis_tvalid !== 1'b0 && m_axis_tvalid !== 1'b1) fault <= 1;
      else if (stalled && (!m_axis_tvalid || result !== offered)) fault <= 2;
      else if (m_axis_tvalid && results >= images * BEATS) fault <= 3;
      else if (!open && still == INTERVAL + LATENCY && !m_axis_tvalid) fault <= 4;
      else if (receiving) begin
        wanted <= expected[results];
        if (m_axis_tdata !== expected[results]) fault <= 5;
        else if (m_axis_tuser !== 1'b0) fault <= 6;
        else if (m_axis_tlast !== last) fault <= 7;
      end
    end
  end

{% set place = "the result of image %0d" ~ (", beat %0d" if result.beats > 1 else "") %}
{% set numbers = "image" ~ (", beat" if result.beats > 1 else "") %}
{% set words = result.fields | map(attribute="name") | join(" %0d, ") ~ " %0d" %}
{% macro values(beat) %}
{% for field in result.fields %}
{% set bits = "%s[%d:%d]" % (beat, field.high, field.low) %}
{{- "$signed(%s)" % bits if field.signed else bits }}{{ ", " if not loop.last -}}
{% endfor %}
{% endmacro %}
  always @(negedge aclk)
    if (fault != 0 && failed[STREAMS-1:0] == 0)
      case (fault)
        1: $display("FAIL: m_axis_tvalid is neither 0 nor 1");
        2: $display("FAIL: {{ place }}: changed or withdrawn before it was taken",
            {{ numbers }});
        3: $display("FAIL: a result follows that of the last image");
        4: $display("FAIL: m_axis_tvalid does not rise while m_axis_tready is low");
        5: begin
          $display("FAIL: {{ place }}: {{ words }} (%h) expected,", {{ numbers }},
              {{ values("wanted") }}, wanted);
          $display("  {{ words }} (%h) found", {{ values("found") }}, found);
        end
        6: $display("FAIL: {{ place }}: m_axis_tuser is not 0, but its length is right",
            {{ numbers }});
{% if result.beats > 1 %}
        default: $display("FAIL: {{ place }}: m_axis_tlast is wrong", {{ numbers }});
{% else %}
        default: $display("FAIL: {{ place }}: m_axis_tlast is not 1", {{ numbers }});
{% endif %}
      endcase

  // The end.

  reg [31:0] idle, first_cycle, first_result, last_result, interval;

  always @(posedge aclk) begin
    if (!aresetn) begin
      idle <= 0;
      // After the first edge: registers may be unknown before.
      if (starting != 4 && (s_axis_tready !== 1'b0 || m_axis_tvalid !== 1'b0)) begin
        $display("FAIL: s_axis_tready and m_axis_tvalid must be 0 in reset");
        $fatal(1);
      end
      first_cycle <= 0;
      first_result <= 0;
      last_result <= 0;
      interval <= 0;
    end else begin
      idle <= |moving || sending || receiving ? 0 : idle + 1;
      if (sending && sent == 0) first_cycle <= cycle;
      if (m_axis_tvalid && first_result == 0) first_result <= cycle;
      if (receiving && last) begin
        last_result <= cycle;
        interval <= cycle - last_result;
      end
      if (failed != 0) begin
        $fatal(1);
      end else if (results == images * BEATS && idle == INTERVAL + 100) begin
        // Long enough for surplus beats to come out.
{% for stream in streams %}
        if (taken[{{ loop.index0 }}] != images * {{ stream.beats }}) begin
          $display("FAIL: {{ stream.name }}: %0d beats, not %0d", taken[{{ loop.index0 }}],
              images * {{ stream.beats }});
          $fatal(1);
        end
{% endfor %}
        if (!stalls) begin
          $display("latency %0d cycles ({{ latency }} by the data sheet)", first_result - first_cycle);
          if (images > 1)
            $display("interval %0d cycles ({{ interval }} by the data sheet)", interval);
        end
        $display("PASS: %0d images, every value of every layer and every result", images);
        $finish;
      end else if (idle == QUIET) begin
        $display("FAIL: no stream moved for %0d cycles:", idle);
        $display("  s_axis: %0d of %0d {{ "pixels" if input.lanes == 1 else "beats" }}", sent, images * PIXELS);
{% for stream in streams %}
        $display("  {{ stream.name }}: %0d of %0d beats", taken[{{ loop.index0 }}],
            images * {{ stream.beats }});
{% endfor %}
        $display("  m_axis: %0d of %0d {{ "results" if result.beats == 1 else "scores" }}", results, images * BEATS);
        $fatal(1);
      end
    end
  end
endmodule

// Compares the beats of a stream with those of a file. `quiet`: an earlier layer reports already.
module {{ top }}_tb_stream #(
  parameter NAME = "",
  parameter FILE = "",
  parameter IMAGES = 1,
  parameter WIDTH = 1,
  parameter CHANNELS = 1,
  parameter BEATS = 1,  // of an image
  parameter LANES = 1,  // values of a beat, the first in the lowest bits
  parameter BITS = 1,  // of a value
  parameter SIGNED = 0
) (
  input aclk,
  input aresetn,
  input [31:0] images,
  input [LANES*BITS-1:0] data,
  input last,
  input valid,
  input ready,
  input quiet,
  output failed,
  output moving,
  output reg [31:0] taken
);
  reg [LANES*BITS-1:0] expected [0:IMAGES*BEATS-1];
  reg [LANES*BITS-1:0] offered, wanted;
  reg offered_last, stalled;
  reg [2:0] fault;
  reg [31:0] image, beat;

  initial $readmemh(FILE, expected, 0, IMAGES*BEATS-1);
  assign failed = fault != 0;
  assign moving = valid && ready;

  always @(posedge aclk) begin
    if (!aresetn) begin
      taken <= 0;
      image <= 0;
      beat <= 0;
      stalled <= 0;
      fault <= 0;
    end else if (fault == 0) begin
      stalled <= valid && !ready;
      offered <= data;
      offered_last <= last;
      if ((valid !== 1'b0 && valid !== 1'b1) || (ready !== 1'b0 && ready !== 1'b1)) fault <= 1;
      else if (stalled && !valid) fault <= 2;
      else if (stalled && (data !== offered || last !== offered_last)) fault <= 3;
      else if (valid && image >= images) fault <= 4;
      else if (valid && ready) begin
        wanted <= expected[taken];
        if (data !== expected[taken]) fault <= 5;
        else if (last !== (beat == BEATS - 1)) fault <= 6;
        else begin
          taken <= taken + 1;
          beat <= beat == BEATS - 1 ? 0 : beat + 1;
          if (beat == BEATS - 1) image <= image + 1;
        end
      end
    end
  end

  // A value of a beat as a number.
  function signed [BITS:0] value(input [LANES*BITS-1:0] values, input integer lane);
    reg [BITS-1:0] raw;
    begin
      raw = values[lane * BITS +: BITS];
      value = {SIGNED != 0 && raw[BITS-1], raw};
    end
  endfunction

  // The first value of a beat that is wrong.
  function integer first_wrong(input [LANES*BITS-1:0] right, input [LANES*BITS-1:0] found);
    integer lane;
    begin
      first_wrong = 0;
      for (lane = LANES - 1; lane >= 0; lane = lane - 1)
        if (found[lane * BITS +: BITS] !== right[lane * BITS +: BITS]) first_wrong = lane;
    end
  endfunction

  task report_value(input integer lane, input integer place);
    $display("FAIL: %0s: image %0d, row %0d, column %0d, channel %0d: %0d expected, %0d found",
        NAME, image, place / CHANNELS / WIDTH, place / CHANNELS % WIDTH, place % CHANNELS,
        value(wanted, lane), value(offered, lane));
  endtask

  wire [31:0] wrong_lane = fault == 5 ? first_wrong(wanted, offered) : 0;

  always @(negedge aclk)
    if (failed && !quiet)
      case (fault)
        1: $display("FAIL: %0s: image %0d, beat %0d: valid or ready is neither 0 nor 1",
            NAME, image, beat);
        2: $display("FAIL: %0s: image %0d, beat %0d: valid fell before the beat was taken",
            NAME, image, beat);
        3: $display("FAIL: %0s: image %0d, beat %0d: changed before the beat was taken",
            NAME, image, beat);
        4: $display("FAIL: %0s: a beat follows the last image", NAME);
        5: report_value(wrong_lane, beat * LANES + wrong_lane);
        default: $display("FAIL: %0s: image %0d, beat %0d: last is wrong", NAME, image, beat);
      endcase
endmodule
