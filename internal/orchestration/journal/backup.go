package journal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Backup copies the journal that a data source name tells into a new file, as it
// is at one moment: with all that was appended before the call. The journal may
// be in use, also by another process, whose appends go on meanwhile. The file can
// be opened as a journal. It is readable by its owner only, durable when Backup
// returns, and not there when Backup fails; one that exists is not touched.
//
// A journal in memory has no copy.
func Backup(ctx context.Context, dsn, file string) error {
	scheme, path, _ := strings.Cut(dsn, ":")
	if scheme != "sqlite" || path == "" {
		return fmt.Errorf("journal of scheme %q: only one of sqlite:FILE can be copied", scheme)
	}
	if err := backup(ctx, path, file); err != nil {
		return fmt.Errorf("copy of journal %s: %w", path, err)
	}
	return nil
}

func backup(ctx context.Context, path, file string) (err error) {
	if _, err := os.Lstat(file); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(err, &fs.PathError{Op: "create", Path: file, Err: fs.ErrExist})
	}
	// Until it is whole the copy has another name: nobody takes a part for all.
	part, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".part-*") // of mode 0600
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, part.Close(), os.Remove(part.Name())) }()
	if err := copyInto(ctx, path, part.Name()); err != nil {
		return err
	}
	if err := part.Sync(); err != nil {
		return err
	}
	if err := os.Link(part.Name(), file); err != nil { // unlike a rename it replaces nothing
		return err
	}
	return syncDir(file)
}

// copyInto has SQLite write what a transaction that reads sees.
func copyInto(ctx context.Context, path, empty string) (err error) {
	path, err = filepath.Abs(path)
	if err != nil {
		return err
	}
	if _, err := os.Stat(path); err != nil {
		return err
	}
	db, err := openPool(path, 1, copyOptions)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	_, err = db.ExecContext(ctx, `VACUUM INTO ?`, empty)
	return err
}
