// The library from .NET by P/Invoke. See the README for what this was compiled with.
//
// usage: Example CONFIG DATA_DIR       (where somebody has signed in before; calmirror.dll, libcalmirror.so or
//                                       libcalmirror.dylib beside the program or on the library path)
using System;
using System.Runtime.InteropServices;
using System.Text;
using System.Threading;

public sealed class CalendarProblem : Exception
{
    public CalendarProblem(string json) : base(json) { }
}

/// <summary>An open data directory. Thread-safe; a second Dispose does nothing.</summary>
public sealed class Calendar : IDisposable
{
    private static class Native
    {
        private const string Library = "calmirror";

        // Texts go in as bytes with a length and come out as pointers: the marshaller would free them with another allocator.
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern IntPtr calmirror_version();

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern ulong calmirror_open(byte[] options, UIntPtr length);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern IntPtr calmirror_call(ulong handle, byte[] call, UIntPtr length);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern IntPtr calmirror_next_notice(ulong handle, long timeoutMs);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int calmirror_on_notice(ulong handle, NoticeCallback callback, IntPtr user);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern void calmirror_free(IntPtr text);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern int calmirror_close(ulong handle);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        internal static extern IntPtr calmirror_last_error();
    }

    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    private delegate void NoticeCallback(IntPtr user, IntPtr notice, UIntPtr length);

    private readonly ulong handle;
    // Kept from the collector as long as the library may call it.
    private NoticeCallback callback;

    public Calendar(string options)
    {
        var bytes = Encoding.UTF8.GetBytes(options);
        handle = Native.calmirror_open(bytes, (UIntPtr)bytes.Length);
        if (handle == 0) throw new CalendarProblem(Read(Native.calmirror_last_error()));
    }

    public static string Version
    {
        get { return Read(Native.calmirror_version()); }
    }

    /// <summary>One JSON object in, {"ok":...} or {"problem":...} out.</summary>
    public string Call(string call)
    {
        var bytes = Encoding.UTF8.GetBytes(call);
        return Take(Native.calmirror_call(handle, bytes, (UIntPtr)bytes.Length));
    }

    /// <summary>The next notice, or null when the time is over.</summary>
    public string NextNotice(TimeSpan timeout)
    {
        var text = Native.calmirror_next_notice(handle, (long)timeout.TotalMilliseconds);
        if (text != IntPtr.Zero) return Take(text);
        var problem = Native.calmirror_last_error();
        if (problem != IntPtr.Zero) throw new CalendarProblem(Read(problem));
        return null;
    }

    /// <summary>`seen` is called on a thread of the library; what it throws ends the process, so it must not.</summary>
    public void OnNotice(Action<string> seen)
    {
        NoticeCallback next = null;
        if (seen != null) next = (user, notice, length) => seen(Read(notice));
        if (Native.calmirror_on_notice(handle, next, IntPtr.Zero) != 0)
            throw new CalendarProblem(Read(Native.calmirror_last_error()));
        callback = next;
    }

    public void Dispose()
    {
        // A second close is refused by the library.
        Native.calmirror_close(handle);
        GC.KeepAlive(callback);
    }

    private static string Take(IntPtr text)
    {
        try { return Read(text); }
        finally { Native.calmirror_free(text); }
    }

    private static string Read(IntPtr text)
    {
        if (text == IntPtr.Zero) return null;
        var length = 0;
        while (Marshal.ReadByte(text, length) != 0) length++;
        var bytes = new byte[length];
        Marshal.Copy(text, bytes, 0, length);
        return Encoding.UTF8.GetString(bytes);
    }
}

public static class Example
{
    public static int Main(string[] arguments)
    {
        if (arguments.Length != 2) return 2;
        var options = "{\"config_file\":\"" + arguments[0].Replace("\\", "\\\\") + "\",\"data_dir\":\"" +
                      arguments[1].Replace("\\", "\\\\") + "\",\"keyring\":false}";
        var notices = 0;
        bool holds;
        using (var calendar = new Calendar(options))
        {
            calendar.OnNotice(_ => Interlocked.Increment(ref notices));
            holds = calendar.Call("{\"call\":\"sync\"}").Contains("\"weather\":null")
                && calendar.Call("{\"call\":\"agenda\",\"days\":14}").Contains("\"fresh\":true")
                && calendar.Call("{\"call\":\"burn\"}").Contains("\"kind\":\"not_found\"")
                && calendar.NextNotice(TimeSpan.FromSeconds(30)) != null;
            calendar.OnNotice(null);
            calendar.Dispose();
            holds = holds && calendar.Call("{\"call\":\"status\"}").Contains("not open");
        }
        Console.WriteLine("C#: calmirror " + Calendar.Version + ", " + notices + " notices to the callback");
        return holds && notices > 0 ? 0 : 1;
    }
}
