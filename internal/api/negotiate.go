package api

import (
	"errors"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The media types between which a caller may choose.
const (
	typeJSON   = "application/json"
	typeEvents = "text/event-stream"
)

// negotiate returns which of the offered types the caller wants most, "" when
// it wants none. Of equals, one that the caller names goes before one that its
// wildcard allows, and then the first offered.
func negotiate(r *http.Request, offers ...string) string {
	accept := strings.Join(r.Header.Values("Accept"), ",")
	if strings.TrimSpace(accept) == "" {
		return offers[0]
	}
	best, bestWeight, bestSpecific := "", 0.0, 0
	for _, offer := range offers {
		weight, specific := weigh(accept, offer)
		if weight > bestWeight || weight == bestWeight && weight > 0 && specific > bestSpecific {
			best, bestWeight, bestSpecific = offer, weight, specific
		}
	}
	return best
}

// weigh returns how much Accept wants a type, and how specifically it says so:
// its most specific range decides.
func weigh(accept, offer string) (weight float64, specific int) {
	for item := range strings.SplitSeq(accept, ",") {
		media, params, err := mime.ParseMediaType(item)
		if err != nil {
			continue
		}
		level := 0
		switch {
		case media == offer:
			level = 3
		case strings.HasSuffix(media, "/*") && strings.HasPrefix(offer, media[:len(media)-1]):
			level = 2
		case media == "*/*":
			level = 1
		}
		if level <= specific {
			continue
		}
		weight, specific = 1, level
		if q, ok := params["q"]; ok {
			weight, _ = strconv.ParseFloat(q, 64)
		}
	}
	return weight, specific
}

// maxWait is the longest that a caller can wait for a run.
const maxWait = 300 * time.Second

// preferredWait returns for how long the caller prefers to wait (RFC 7240).
// More than maxWait is taken for maxWait; what is not understood is ignored.
func preferredWait(r *http.Request) (wait time.Duration, ok bool) {
	for _, line := range r.Header.Values("Prefer") {
		for item := range strings.SplitSeq(line, ",") {
			item, _, _ = strings.Cut(item, ";")
			name, value, _ := strings.Cut(item, "=")
			if !strings.EqualFold(strings.TrimSpace(name), "wait") {
				continue
			}
			seconds, err := strconv.ParseUint(strings.Trim(strings.TrimSpace(value), `"`), 10, 31)
			if err == nil || errors.Is(err, strconv.ErrRange) {
				return min(time.Duration(seconds)*time.Second, maxWait), true // the first one counts
			}
		}
	}
	return 0, false
}
