package journal

import (
	"context"
	"time"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// expireBatch is how many runs are deleted in one transaction: few, for the
// appends that wait for it.
const expireBatch = 16

// A run of a newer server may hold what that one would not have deleted yet.
const expiredQuery = `SELECT id FROM runs WHERE ended = 1 AND ended_at < ? AND ` + formatOf + ` <= ? ORDER BY ended_at LIMIT ?`

// A year, in nanoseconds: how long before retention's bound a budget's period
// must have begun to be removed. How long a period is only its budget knows.
const longestPeriod = int64(366 * 24 * time.Hour)

func (j *sqlite) Expire(ctx context.Context, endedBefore time.Time, most int) (removed int, err error) {
	for most <= 0 || removed < most {
		want := expireBatch
		if most > 0 {
			want = min(want, most-removed)
		}
		n, err := j.expire(ctx, nanos(endedBefore), want)
		removed += n
		if err != nil {
			return removed, err
		}
		if n < want {
			break
		}
	}
	return removed, j.writer.do(ctx, &write{apply: func(s *session) (error, error) {
		return nil, s.exec(s.expireBudgets, nanos(endedBefore)-longestPeriod)
	}})
}

// expire deletes one batch. What it finds may have been deleted by another when
// it is to be deleted.
func (j *sqlite) expire(ctx context.Context, before int64, most int) (removed int, err error) {
	var runs []string
	found, err := j.reader.expired.QueryContext(ctx, before, orchestration.SpecFormat, most) //nolint:sqlclosecheck // each closes it
	err = each(found, err, func() error {
		var run string
		err := found.Scan(&run)
		runs = append(runs, run)
		return unavailable(err)
	})
	if err != nil || len(runs) == 0 {
		return 0, err
	}
	err = j.writer.do(ctx, &write{deletes: runs, apply: func(s *session) (error, error) {
		removed = 0
		for _, run := range runs {
			n, err := s.expire(run, before)
			if err != nil {
				return nil, err
			}
			removed += n
		}
		return nil, nil
	}})
	if err != nil {
		removed = 0
	}
	return removed, err
}

// expire removes a run if it ended before then.
func (s *session) expire(run string, before int64) (removed int, err error) {
	var expired bool
	if err := s.expired.QueryRowContext(context.Background(), run, before).Scan(&expired); err != nil || !expired {
		return 0, err
	}
	return 1, s.remove(run)
}
