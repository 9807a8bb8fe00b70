// Stands for the accelerator of tests.hw.small_networks.ONE_LAYER, two values a beat, whose values
// it takes from the files of the test bench. `+defect=N` makes one mistake.
module one_layer (
  input aclk, input aresetn,
  input [7:0] s_axis_tdata, input s_axis_tvalid, output s_axis_tready, input s_axis_tlast,
  output [63:0] m_axis_tdata, output m_axis_tuser, output m_axis_tvalid, input m_axis_tready,
  output m_axis_tlast
);
  localparam PIXELS = 0, FIRST = 1, SECOND = 2, RESULT = 3;
  parameter BITS = 64;
  reg [BITS-1:0] beats [0:19];
  reg [63:0] results [0:9];
  reg [1:0] state;
  reg late;  // not the first cycle of a state
  reg [31:0] image, defect;

  initial begin
    $readmemh("01_scores.hex", beats);
    $readmemh("results.hex", results);
    if (!$value$plusargs("defect=%d", defect)) defect = 0;
  end

  wire scores = state == FIRST || state == SECOND;
  wire result = state == RESULT;
  wire here = image == (defect == 22 ? 9 : 3);
  wire after = image == 10;
  wire early = here && !late;

  wire [7:0] stream_input_data = defect == 1 && here ? s_axis_tdata + 1 : s_axis_tdata;
  wire stream_input_last = s_axis_tlast;
  wire stream_input_valid = s_axis_tvalid && aresetn;
  wire stream_input_ready = s_axis_tready;
  assign s_axis_tready = (aresetn || defect == 2) && state == PIXELS && !after;

  wire stream_scores_valid =
    defect == 3 && early && scores ? 1'bx :
    defect == 4 && here && late ? 1'b0 :
    defect == 20 && after ? 1'b1 : scores;
  wire stream_scores_ready = late && !(defect == 5 && here && state == SECOND);
  wire [BITS-1:0] beat = beats[image * 2 + (state == SECOND)];
  wire [BITS-1:0] stream_scores_data =
    defect == 6 && early ? ~beat :
    defect == 7 && here && state == SECOND ? beat ^ {1'b1, {BITS-1{1'b0}}} : beat;
  wire stream_scores_last = state == SECOND || (defect == 8 && here);

  assign m_axis_tvalid =
    defect == 9 && early && result ? 1'bx :
    defect == 10 && !aresetn ? 1'b1 :
    defect == 11 ? result && m_axis_tready && late :
    defect == 12 && here && late ? 1'b0 :
    defect == 21 && after ? 1'b1 : result;
  assign m_axis_tdata =
    defect == 13 && here ? results[image] ^ 64'h1_0000_0001 :
    defect == 14 && here ? results[image] ^ 64'h100 :
    defect == 15 && early ? 0 : results[image];
  assign m_axis_tuser = defect == 16 && here;
  assign m_axis_tlast = !(defect == 17 && here);

  always @(posedge aclk) begin
    late <= 1;
    if (!aresetn) begin
      state <= PIXELS;
      image <= 0;
      late <= 0;
    end else case (state)
      PIXELS: if (s_axis_tvalid && s_axis_tready && s_axis_tlast) begin
        state <= FIRST;
        late <= 0;
      end
      FIRST: if (late && !(defect == 4 && here)) begin
        state <= defect == 22 && here ? RESULT : SECOND;
        late <= 0;
      end
      SECOND: if (stream_scores_ready) begin
        state <= RESULT;
        late <= 0;
      end
      RESULT: if (m_axis_tvalid === 1'b1 && m_axis_tready) begin
        state <= PIXELS;
        image <= image + 1;
        late <= 0;
      end
    endcase
  end
endmodule
