package webhook

import (
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// waits are those before the second try, the third, and so on: the schedule
// that Standard Webhooks recommends, ten tries in a bit over three days.
var waits = []time.Duration{
	5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour,
	10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
}

// maxRetryAfter is the longest that a receiver may put a try off.
const maxRetryAfter = 24 * time.Hour

// A verdict is what a try came to.
type verdict struct {
	status int           // of the answer, 0 if there was none
	fault  string        // why it failed, in our words; empty: it was delivered
	after  time.Duration // that the receiver asked us to wait
	final  bool          // trying again is of no use
}

// next says what follows from the verdict on a delivery that had been tried so
// often before.
func (v verdict) next(before int, now time.Time) orchestration.Try {
	t := orchestration.Try{Time: now, Status: v.status, Error: v.fault}
	switch {
	case v.fault == "":
		t.State = orchestration.DeliveryDelivered
	case v.final || before >= len(waits):
		t.State = orchestration.DeliveryDead
	default:
		t.State = orchestration.DeliveryPending
		wait := waits[before]
		wait += rand.N(wait / 5) // those who failed together do not come again together
		t.Next = now.Add(max(wait, min(v.after, maxRetryAfter)))
	}
	return t
}

// retryAfter reads how long an answer asks to wait, 0 if it does not say.
func retryAfter(answer *http.Response, now time.Time) time.Duration {
	text := answer.Header.Get("Retry-After")
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}
