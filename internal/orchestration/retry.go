package orchestration

import (
	"cmp"
	"time"
)

// Waiting before another attempt: doubled from one to the next, with jitter
// that only adds, so that neither a provider's wish nor the backoff is undercut
// and runs that failed together do not come back together.
const (
	firstRetry = 500 * time.Millisecond
	lastRetry  = 30 * time.Second
	retryMost  = 5 * time.Minute // of what a provider may ask for
	jitter     = 0.5             // at most this share is added
	mostSpared = 10              // attempts in a row that count for nothing: some five minutes
)

// retryDelay returns how long to wait after the attempt-th attempt failed. first is
// how long after the first; 0: firstRetry.
func retryDelay(attempt int, first, retryAfter time.Duration, random float64) time.Duration {
	first = cmp.Or(first, firstRetry)
	delay := first << min(max(attempt, 1)-1, 10)
	delay = max(min(delay, max(first, lastRetry)), min(retryAfter, retryMost))
	return delay + time.Duration(random*jitter*float64(delay))
}

// A retry is the attempt that follows a failed one.
type retry struct {
	at       time.Time
	again    bool // it makes the same call again, which was cut short
	fallback bool // it falls back to a simpler prompt, another model, or both
}

// retry decides whether another attempt follows one that failed: as long as
// there are attempts and the failure may pass, with the same model; then with
// the fallback, if there is one. A call that this process cut short, because it
// is about to stop, has not failed. Where there is nobody else to ask, one that was
// not made, since the endpoint is left alone, has not failed either, for a while.
func (d *decision) retry(t *Tries, f *Failure, own *Retry, fallback bool) (retry, bool) {
	if own == nil {
		own = new(Retry)
	}
	switch {
	case d.run.over() || f.Code == CodeBudgetExceeded:
		return retry{}, false
	case d.stopping && f.Code == CodeCanceled:
		return retry{at: d.now, again: true}, true
	case f.Spared && t.Spared < mostSpared && (!fallback || t.FellBack):
		return retry{at: d.now.Add(retryDelay(t.Spared+1, time.Duration(own.Backoff), f.RetryAfter, d.random)), again: true}, true
	case f.Retryable && t.Tried < cmp.Or(own.MaxAttempts, d.run.Spec.Limits.MaxAttempts):
		return retry{at: d.now.Add(retryDelay(t.Tried, time.Duration(own.Backoff), f.RetryAfter, d.random))}, true
	case fallback && !t.FellBack:
		return retry{at: d.now, fallback: true}, true
	}
	return retry{}, false
}

// modelOf returns the model that the next attempt asks.
func (r *Run) modelOf(model, fallback string, t *Tries) string {
	if fallback != "" && t.FellBack {
		return fallback
	}
	return model
}

// fallbackOf returns the fallback of a model, "" if it has none.
func (r *Run) fallbackOf(model string) string { return r.Spec.Model(model).Fallback }
