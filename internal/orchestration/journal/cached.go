package journal

import (
	"context"
	"database/sql"
	"errors"
	"math"
	"strings"
	"time"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// mostOfCache is the share of the cache's bound that one row may take: one of
// mostOfCache. A larger one, which would drive out too many others, is not kept.
const mostOfCache = 8

// A storedCached is a row of the cache as every store keeps it.
type storedCached struct {
	key, output    string
	bytes, expires int64
}

func encodeCached(cached []orchestration.Cached) []storedCached {
	var rows []storedCached
	for _, c := range cached {
		output := strings.ToValidUTF8(c.Output, "\uFFFD")
		rows = append(rows, storedCached{c.Key, output, int64(len(c.Tenant) + len(c.Key) + len(output)), nanos(c.Expires)})
	}
	return rows
}

func (j *sqlite) Cached(ctx context.Context, tenant, key string, now time.Time) (output string, ok bool, err error) {
	err = scanOne(j.reader.cached.QueryRowContext(ctx, tenant, key, nanos(now)), &output)
	if errors.Is(err, orchestration.ErrNotFound) {
		return "", false, nil
	}
	return output, err == nil, err
}

func (j *sqlite) ExpireCached(ctx context.Context, now time.Time) error {
	for left := int64(expireBatch); left >= expireBatch; {
		err := j.writer.do(ctx, &write{apply: func(s *session) (_, failed error) {
			left, failed = s.cache.drop(s.cache.dropExpired, nanos(now), expireBatch)
			return nil, failed
		}})
		if err != nil {
			return err
		}
	}
	return nil
}

// A cache is the writer's part of the cache. It evicts what was written first:
// to know what was used last, each use would have to be written.
type cache struct {
	bound int64 // bytes
	bytes int64 // of all rows; unknown: they are yet to be added up

	sum, keep           *sql.Stmt
	dropKey, dropOldest *sql.Stmt
	dropExpired         *sql.Stmt
}

const unknown = math.MinInt64

func prepareCache(bound int64, prepare func(string) *sql.Stmt) cache {
	return cache{
		bound: bound, bytes: unknown,
		sum:         prepare(`SELECT coalesce(sum(bytes), 0) FROM cached`),
		keep:        prepare(`INSERT INTO cached (tenant, key, expires, bytes, output) VALUES (?, ?, ?, ?, ?)`),
		dropKey:     prepare(`DELETE FROM cached WHERE tenant = ? AND key = ? RETURNING bytes`),
		dropOldest:  prepare(`DELETE FROM cached WHERE place = (SELECT min(place) FROM cached) RETURNING bytes`),
		dropExpired: prepare(`DELETE FROM cached WHERE place IN (SELECT place FROM cached WHERE expires <= ? LIMIT ?) RETURNING bytes`),
	}
}

// add puts an entry's rows in the cache, and evicts others for them.
func (c *cache) add(e *entry) error {
	for _, row := range e.cached {
		if row.bytes > c.bound/mostOfCache {
			continue
		}
		if c.bytes == unknown {
			if err := c.sum.QueryRowContext(context.Background()).Scan(&c.bytes); err != nil {
				return err
			}
		}
		if _, err := c.drop(c.dropKey, e.row.tenant, row.key); err != nil {
			return err
		}
		if _, err := c.keep.ExecContext(context.Background(), e.row.tenant, row.key, row.expires, row.bytes, row.output); err != nil {
			return err
		}
		for c.bytes += row.bytes; c.bytes > c.bound; {
			if n, err := c.drop(c.dropOldest); n == 0 || err != nil {
				return err
			}
		}
	}
	return nil
}

// drop deletes rows and returns how many.
func (c *cache) drop(which *sql.Stmt, args ...any) (rows int64, err error) {
	found, err := which.QueryContext(context.Background(), args...)
	err = each(found, err, func() error {
		var bytes int64
		err := found.Scan(&bytes)
		if rows++; c.bytes != unknown {
			c.bytes -= bytes
		}
		return err
	})
	return rows, err
}
