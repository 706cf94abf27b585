-- Sends the lines of a file as bodies, from a given one on, and prints what came of it as JSON.
local bodies, at, headers = {}, 0, { ["Content-Type"] = "application/json" }

function init(args)
  at = tonumber(args[2])
  for line in io.lines(args[1]) do bodies[#bodies + 1] = line end
end

function request()
  at = at % #bodies + 1
  return wrk.format("POST", "/", headers, bodies[at])
end

function done(summary, latency)
  local wrong = summary.errors.status + summary.errors.read + summary.errors.connect
  io.write(string.format(
    '\n{"count": %d, "wrong": %d, "seconds": %f, "p50": %f, "p99": %f}\n', summary.requests,
    wrong + summary.errors.timeout, summary.duration / 1e6,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
