package orchestration

import "time"

// Waiting before another attempt: doubled from one to the next, with jitter
// that only adds, so that neither a provider's wish nor the backoff is undercut
// and runs that failed together do not come back together.
const (
	firstRetry = 500 * time.Millisecond
	lastRetry  = 30 * time.Second
	retryMost  = 5 * time.Minute // of what a provider may ask for
	jitter     = 0.5             // at most this share is added
)

// retryDelay returns how long to wait after the attempt-th attempt failed.
func retryDelay(attempt int, retryAfter time.Duration, random float64) time.Duration {
	delay := firstRetry << min(attempt-1, 10)
	delay = max(min(delay, lastRetry), min(retryAfter, retryMost))
	return delay + time.Duration(random*jitter*float64(delay))
}
