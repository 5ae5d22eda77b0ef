package telemetry

import (
	"net/http"
	"strconv"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// longestPause is the most that a collector's Retry-After is believed.
const longestPause = time.Minute

// retryAfter reads RFC 9110 §10.2.3 in both spellings.
func retryAfter(value string, now time.Time) time.Duration {
	var wait time.Duration
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		wait = time.Duration(seconds) * time.Second
	} else if at, err := http.ParseTime(value); err == nil {
		wait = at.Sub(now)
	}
	return min(max(wait, 0), longestPause)
}

// partial reads how many items were rejected (ExportTracePartialSuccess and its like) of an answer that may be anything.
func partial(answer []byte) int64 {
	inner, _ := field(answer, 1, protowire.BytesType)
	_, rejected := field(inner, 1, protowire.VarintType)
	return max(int64(rejected), 0)
}

// field finds the first field of that number and type. Of what is no protobuf it finds nothing.
func field(b []byte, number protowire.Number, kind protowire.Type) (inner []byte, n uint64) {
	for len(b) > 0 {
		num, typ, size := protowire.ConsumeTag(b)
		if size < 0 {
			return nil, 0
		}
		b = b[size:]
		if num == number && typ == kind {
			if kind == protowire.BytesType {
				inner, _ = protowire.ConsumeBytes(b)
			} else if n, size = protowire.ConsumeVarint(b); size < 0 {
				n = 0
			}
			return inner, n
		}
		if size = protowire.ConsumeFieldValue(num, typ, b); size < 0 {
			return nil, 0
		}
		b = b[size:]
	}
	return nil, 0
}
