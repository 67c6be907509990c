"""One way to deliver each, all alike: `await push(parcel)`, PushFailed when it did not arrive.

A recording may be pushed twice (a process died before it could write down that it had arrived): the second time
replaces the first, and what is half there is never seen under the file's name.
"""
