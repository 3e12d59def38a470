package journal

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"sync"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// readConns is how many reads go on at once.
const readConns = 4

// sqlite is the journal in a SQLite database. One goroutine writes, each
// transaction flushed (synchronous=FULL) before it can be read; others read
// beside it (WAL), through a pool that cannot write.
type sqlite struct {
	lock   *os.File
	db     *sql.DB // the writer's one connection
	writer *writer
	reader *reader
	close  func() error // once
}

func openSQLite(ctx context.Context, file string, o Options) (_ Journal, err error) {
	path, err := filepath.Abs(file)
	if err != nil {
		return nil, fmt.Errorf("journal %s: %w", file, err)
	}
	j := new(sqlite)
	j.close = sync.OnceValue(j.closeAll)
	defer func() {
		if err != nil {
			err = fmt.Errorf("journal %s: %w", file, errors.Join(err, j.close()))
		}
	}()
	if j.lock, err = lock(ctx, path+".lock", o.Standby); err != nil {
		return nil, err
	}
	if err := createPrivate(path); err != nil {
		return nil, err
	}
	if j.db, err = openPool(path, 1, writeOptions); err != nil {
		return nil, err
	}
	if err := migrate(ctx, j.db); err != nil {
		return nil, err
	}
	if err := checkFormats(ctx, j.db); err != nil {
		return nil, err
	}
	connect := func(ctx context.Context) (*session, error) { return newSession(ctx, j.db, o.CacheBytes) }
	session, err := connect(ctx)
	if err != nil {
		return nil, err
	}
	j.writer = newWriter(session, connect)
	if j.reader, err = openReader(ctx, path); err != nil {
		return nil, err
	}
	return j, nil
}

// Pages of 8 kB hold most outputs whole, beside their event. The caches (negative:
// in kB) are small, since the system caches the file too.
var (
	writeOptions = url.Values{
		"_pragma":       {"page_size(8192)", "cache_size(-4000)", "journal_size_limit(67108864)"},
		"_journal_mode": {"WAL"},
		"_synchronous":  {"FULL"},
		"_txlock":       {"immediate"},
		"_busy_timeout": {"5000"}, // for the time someone looks at the file with another program
	}
	readOptions = url.Values{
		"_pragma":       {"cache_size(-500)"},
		"mode":          {"ro"},
		"_query_only":   {"1"},
		"_busy_timeout": {"5000"},
	}
	copyOptions = url.Values{ // a copy is a write to the one who makes it
		"mode":          {"ro"},
		"_busy_timeout": {"5000"},
	}
)

func openPool(path string, conns int, options url.Values) (*sql.DB, error) {
	dsn := url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: options.Encode()}
	db, err := sql.Open("sqlite", dsn.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	return db, nil
}

// createPrivate makes the file, if there is none, so that only its owner can
// read it: it holds prompts and answers. SQLite gives its other files the same
// mode. The name of the new file is flushed like all that will be in it.
func createPrivate(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // the operator names the file
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return syncDir(path)
}

// syncDir makes the name of a file durable.
func syncDir(path string) error {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func (j *sqlite) closeAll() error {
	var errs []error
	if j.writer != nil {
		j.writer.close()
		j.writer.recent.forgetAll() // so that every read fails
	}
	if j.reader != nil {
		errs = append(errs, j.reader.close())
	}
	if j.db != nil { // the last one to close moves the WAL into the database
		errs = append(errs, j.db.Close())
	}
	if j.lock != nil {
		errs = append(errs, j.lock.Close())
	}
	return errors.Join(errs...)
}

func (j *sqlite) Close() error { return j.close() }

func (j *sqlite) Append(ctx context.Context, c orchestration.Commit) error {
	e, err := encode(c)
	if err != nil {
		return err
	}
	return j.writer.do(ctx, &write{apply: func(s *session) (error, error) { return s.append(e) }, entry: e, owes: len(e.Deliveries) > 0})
}

// Delete looks whether a run that has not ended can be read before it is the writer's
// turn: others wait for that one.
func (j *sqlite) Delete(ctx context.Context, tenant, run string) error {
	err := j.delete(ctx, tenant, run, false)
	if !errors.Is(err, ErrNotEnded) {
		return err
	}
	if failed := j.readAll(ctx, tenant, run); !errors.Is(failed, orchestration.ErrUnreadable) {
		return cmp.Or(failed, err)
	}
	return j.delete(ctx, tenant, run, true)
}

func (j *sqlite) delete(ctx context.Context, tenant, run string, unreadable bool) error {
	return j.writer.do(ctx, &write{apply: func(s *session) (error, error) { return s.delete(tenant, run, unreadable) }, deletes: []string{run}})
}

func (j *sqlite) Watch(run string, notify func(orchestration.Row)) (stop func()) {
	return j.writer.watch(run, notify)
}

// Ready writes only after a failure: one page, which tells whether the storage
// has recovered though nobody appends.
func (j *sqlite) Ready(ctx context.Context) error {
	if err := j.writer.open(); err != nil || !j.writer.failing.Load() {
		return err
	}
	return j.writer.do(ctx, &write{apply: func(s *session) (error, error) { return nil, s.exec(s.touch) }})
}
