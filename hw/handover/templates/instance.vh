// An instance of {{ top }}, to copy or to `include in a module that has aclk and aresetn.
{% for port, kind, width in ports if port not in ("aclk", "aresetn") %}
wire {{ "[%d:0] " % (width - 1) if width > 1 }}{{ top }}_{{ port }};
{% endfor %}

{{ top }} {{ top }}_i (
{% for port, kind, width in ports %}
  .{{ port }}({{ port if port in ("aclk", "aresetn") else top ~ "_" ~ port }}){{ "," if not loop.last }}  // {{ kind }}
{% endfor %}
);
